//! What the hammer writes: lines as one types them, by the type of key that they are meant for.
//!
//! Words: `@` and `@2` a key of the class, `%` a number below ten, `%v` a value, `%m` an element, `%x` a quarter of a
//! number, `%s` seconds and `%ms` milliseconds to live that nobody outlives here, `%t` and `%T` the same as a moment, `%p`
//! milliseconds that are soon over, `%id` the id of an entry that was added of late, `%dump` a list as a payload.

use super::Whole;
use crate::flavor::Flavor;

/// Keys of one type, and the writes that fit it.
pub(super) struct Class {
    /// What the names of its keys begin with.
    pub(super) name: &'static str,
    /// How many keys it has; 50 in all classes together.
    pub(super) keys: u8,
    /// For every server.
    lines: &'static str,
    /// For Redis 7.0 and Valkey.
    since_seven: &'static str,
    /// For Valkey, when the peer is one too.
    since_nine: &'static str,
}

/// All of them. Consumers are created by name before they read or claim: servers tell their replicas nothing of a consumer
/// that came to be by reading or claiming nothing.
pub(super) const CLASSES: [Class; 9] = [
    Class {
        name: "string",
        keys: 8,
        lines: "SET @ %v\nSET @ %v EX %s\nSET @ %v PX %ms\nSET @ %v PXAT %T\nSET @ %v EXAT %t\nSET @ %v KEEPTTL\n\
                SET @ %v NX\nSET @ %v XX\nSET @ %v GET\nSETNX @ %v\nSETEX @ %s %v\nPSETEX @ %ms %v\nGETSET @ %v\n\
                MSET @ %v @2 %v\nMSETNX @ %v @2 %v\nAPPEND @ %\nSETRANGE @ % %v\nGETDEL @\nGETEX @ EX %s\n\
                GETEX @ PXAT %T\nGETEX @ PERSIST\nMULTI\\SET @ %v\\APPEND @2 %\\EXEC",
        since_seven: "SET @ %v NX GET",
        since_nine: "SET @ %v IFEQ %v\nDELIFEQ @ %v\nMSETEX 2 @ %v @2 %v EX %s\nMSETEX 2 @ %v @2 %v KEEPTTL",
    },
    Class {
        name: "counter",
        keys: 5,
        lines: "INCR @\nINCR @\nINCRBY @ %\nDECR @\nDECRBY @ %\nINCRBYFLOAT @ %x\nSET @ %\n\
                MULTI\\INCR @\\DECRBY @2 %\\EXEC\nEVAL \"redis.call('INCR',KEYS[1]) redis.call('INCRBY',KEYS[2],3)\" 2 @ @2",
        since_seven: "",
        since_nine: "",
    },
    Class {
        name: "bits",
        keys: 4,
        lines: "SETBIT @ % 1\nSETBIT @ % 0\nSETBIT @ %% 1\nBITFIELD @ SET u8 0 % INCRBY i5 10 1\nBITOP OR @ @ @2\n\
                BITOP NOT @ @2\nBITOP XOR @ @2 @",
        since_seven: "",
        since_nine: "",
    },
    Class {
        name: "log-log",
        keys: 3,
        lines: "PFADD @ %m\nPFADD @ %v %m\nPFMERGE @ @2",
        since_seven: "",
        since_nine: "",
    },
    Class {
        name: "list",
        keys: 8,
        lines: "RPUSH @ %v\nLPUSH @ %v %v\nRPUSHX @ %m\nLPUSHX @ %m\nLPOP @\nRPOP @\nLPOP @ 2\nRPOP @ 3\n\
                LINSERT @ BEFORE %m %v\nLINSERT @ AFTER %m %v\nLSET @ 0 %m\nLSET @ -1 %m\nLREM @ 1 %m\nLTRIM @ 0 9\n\
                RPOPLPUSH @ @2\nLMOVE @ @2 LEFT RIGHT\nBLMOVE @ @2 RIGHT LEFT 0.01\nBRPOPLPUSH @ @2 0.01\n\
                BLPOP @ @2 0.01\nBRPOP @ 0.01\nSORT @ ALPHA STORE @2\nRESTORE @ 0 %dump REPLACE\n\
                RESTORE @ %ms %dump REPLACE\nMULTI\\RPUSH @ %m\\RPUSH @2 %m\\LTRIM @2 0 5\\EXEC\n\
                EVAL \"redis.call('RPUSH',KEYS[1],ARGV[1]) redis.call('LPUSH',KEYS[2],ARGV[1])\" 2 @ @2 %v",
        since_seven: "LMPOP 2 @ @2 LEFT COUNT 2\nBLMPOP 0.01 1 @ RIGHT",
        since_nine: "",
    },
    Class {
        name: "set",
        keys: 6,
        lines: "SADD @ %m\nSADD @ %m %v\nSREM @ %m\nSREM @ %m %m\nSPOP @\nSPOP @ 2\nSMOVE @ @2 %m\nSINTERSTORE @ @ @2\n\
                SUNIONSTORE @ @ @2\nSDIFFSTORE @ @2 @\nMULTI\\SADD @ %m\\SREM @2 %m\\EXEC",
        since_seven: "",
        since_nine: "",
    },
    Class {
        name: "sorted",
        keys: 6,
        lines: "ZADD @ % %m\nZADD @ NX % %m % %m\nZADD @ XX % %m\nZADD @ GT CH % %m\nZADD @ LT % %m\nZADD @ INCR %x %m\n\
                ZINCRBY @ %x %m\nZINCRBY @ % %m\nZREM @ %m\nZREMRANGEBYRANK @ 0 0\nZREMRANGEBYSCORE @ 8 9\n\
                ZREMRANGEBYLEX @ [m0 [m2\nZPOPMIN @\nZPOPMAX @ 2\nBZPOPMIN @ 0.01\nBZPOPMAX @ @2 0.01\n\
                ZRANGESTORE @ @2 0 5\nZUNIONSTORE @ 2 @ @2 WEIGHTS 1 0.5\nZINTERSTORE @ 2 @ @2\nZDIFFSTORE @ 2 @ @2\n\
                GEOADD @ %x % %m\nGEORADIUS @ 1 1 900 km STORE @2\nGEORADIUSBYMEMBER @ %m 900 km STOREDIST @2\n\
                GEOSEARCHSTORE @2 @ FROMLONLAT 1 1 BYBOX 900 900 km\nMULTI\\ZADD @ % %m\\ZREM @2 %m\\EXEC",
        since_seven: "ZMPOP 2 @ @2 MIN COUNT 2\nBZMPOP 0.01 1 @ MAX",
        since_nine: "",
    },
    Class {
        name: "hash",
        keys: 6,
        lines: "HSET @ %m %v\nHSET @ %m %v %m %v\nHMSET @ %m %v\nHSETNX @ %m %v\nHDEL @ %m\nHDEL @ %m %m\n\
                HINCRBY @ n %\nHINCRBY @ n 1\nHINCRBYFLOAT @ x %x\nMULTI\\HSET @ %m %v\\HDEL @2 %m\\EXEC",
        since_seven: "",
        since_nine: "HEXPIRE @ %s FIELDS 1 %m\nHPEXPIRE @ %ms FIELDS 2 %m n\nHEXPIREAT @ %t FIELDS 1 %m\n\
                     HPEXPIREAT @ %T FIELDS 1 %m\nHPERSIST @ FIELDS 1 %m\nHSETEX @ EX %s FIELDS 2 %m %v n 5\n\
                     HGETEX @ PX %ms FIELDS 1 %m\nHGETEX @ PERSIST FIELDS 1 %m\nHGETDEL @ FIELDS 1 %m",
    },
    Class {
        name: "stream",
        keys: 4,
        lines: "XADD @ * f %v\nXADD @ * f %v\nXADD @ MAXLEN 20 * f %v\nXADD @ MINID %id * f %v\nXADD @ NOMKSTREAM * f %v\n\
                XDEL @ %id\nXDEL @ %id %id\nXTRIM @ MAXLEN 9\nXTRIM @ MINID %id\nXSETID @ %id\n\
                XGROUP CREATE @ g 0 MKSTREAM\nXGROUP CREATE @ h $ MKSTREAM\nXGROUP CREATECONSUMER @ g %m\nXGROUP SETID @ g 0\n\
                XGROUP DELCONSUMER @ g %m\nXGROUP DESTROY @ h\nXACK @ g %id\n\
                XACK @ g %id %id\n\
                EVAL \"redis.call('XGROUP','CREATECONSUMER',KEYS[1],'g',ARGV[1]) redis.call('XREADGROUP','GROUP','g',ARGV[1],'COUNT',2,'STREAMS',KEYS[1],'>')\" 1 @ %m\n\
                EVAL \"redis.call('XGROUP','CREATECONSUMER',KEYS[1],'g',ARGV[1]) redis.call('XREADGROUP','GROUP','g',ARGV[1],'COUNT',2,'STREAMS',KEYS[1],'>')\" 1 @ %m\n\
                EVAL \"redis.call('XGROUP','CREATECONSUMER',KEYS[1],'g',ARGV[1]) redis.call('XREADGROUP','GROUP','g',ARGV[1],'COUNT',2,'NOACK','STREAMS',KEYS[1],'>')\" 1 @ %m\n\
                EVAL \"redis.call('XGROUP','CREATECONSUMER',KEYS[1],'g',ARGV[1]) redis.call('XCLAIM',KEYS[1],'g',ARGV[1],0,ARGV[2])\" 1 @ %m %id\n\
                EVAL \"redis.call('XGROUP','CREATECONSUMER',KEYS[1],'g',ARGV[1]) redis.call('XCLAIM',KEYS[1],'g',ARGV[1],0,ARGV[2],'JUSTID')\" 1 @ %m %id\n\
                EVAL \"redis.call('XGROUP','CREATECONSUMER',KEYS[1],'g',ARGV[1]) redis.call('XAUTOCLAIM',KEYS[1],'g',ARGV[1],0,'0','COUNT',2)\" 1 @ %m\n\
                EVAL \"redis.call('XGROUP','CREATECONSUMER',KEYS[1],'g',ARGV[1]) redis.call('XAUTOCLAIM',KEYS[1],'g',ARGV[1],0,'0','COUNT',2)\" 1 @ %m\n\
                DEL @",
        since_seven: "",
        since_nine: "",
    },
];

/// What Redis 6.2 executes differently from later servers: it keeps a deleted entry that is claimed pending, and knows no
/// deleted id that a stream's last one must be above.
const UNEQUAL: [&str; 3] = ["XCLAIM", "XAUTOCLAIM", "XSETID"];

/// What fits keys of every type.
const ANY_TYPE: &str = "DEL @\nDEL @ @2\nUNLINK @\nEXPIRE @ %s\nEXPIRE @ %s\nPEXPIRE @ %ms\nEXPIREAT @ %t\nPEXPIREAT @ %T\n\
                        PERSIST @\nPERSIST @\nRENAME @ @2\nRENAMENX @ @2\nCOPY @ @2\nCOPY @ @2 REPLACE\n\
                        COPY @ @2 DB 1 REPLACE\nMULTI\\DEL @\\EXPIRE @2 %s\\EXEC";
/// The same, since 7.0.
const ANY_TYPE_SINCE_SEVEN: &str = "EXPIRE @ %s NX\nEXPIRE @ %s GT\nPEXPIRE @ %ms LT\nEXPIRE @ %s XX";
/// Lives that end while the hammer strikes.
const EXPIRING: &str = "PEXPIRE @ %p\nPEXPIRE @ %p\nPSETEX @ %p %v\nMULTI\\PERSIST @\\PEXPIRE @2 %p\\EXEC";
/// Every key at once. Rarely: after each of them there is little left to disagree about.
const WHOLE: &str = "FLUSHDB\nFLUSHALL\nSWAPDB 0 1\nMOVE @ 1";

/// The lines of a class that may be typed at `origin` and that `peer` can hold.
pub(super) fn fitting(class: &Class, origin: Flavor, peer: Flavor) -> Vec<&'static str> {
    let mut lines: Vec<_> = class.lines.lines().collect();
    if origin.at_least_seven() {
        lines.extend(class.since_seven.lines());
    }
    if origin.has_field_expiry() && peer.has_field_expiry() {
        lines.extend(class.since_nine.lines());
    }
    if origin.at_least_seven() != peer.at_least_seven() {
        lines.retain(|line| !UNEQUAL.iter().any(|name| line.contains(name)));
    }
    lines
}

/// The lines for keys of every type.
pub(super) fn any_type(origin: Flavor) -> Vec<&'static str> {
    let more = if origin.at_least_seven() { ANY_TYPE_SINCE_SEVEN } else { "" };
    ANY_TYPE.lines().chain(more.lines()).collect()
}

/// The lines that let keys expire soon.
pub(super) fn expiring() -> Vec<&'static str> {
    EXPIRING.lines().collect()
}

/// The lines that touch whole databases.
pub(super) fn whole(whole: Whole) -> Vec<&'static str> {
    let fits = |line: &&str| match whole {
        Whole::Spared => false,
        Whole::Emptied => !line.starts_with("SWAPDB"),
        Whole::Swapped => true,
    };
    WHOLE.lines().filter(fits).collect()
}
