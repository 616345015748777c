//! Every write command, as lines to type. `@` stands for a prefix, so that each side has keys of its own.

use duet_chaos::flavor::Flavor;

/// What every version since Redis 6.2 understands.
const COMMANDS: &str = r#"
# strings
SET @s 1
SET @s 2 EX 1000
SET @s 3 KEEPTTL
SET @s 4 PX 1000000
SET @s 5 XX
SET @s 6 NX
SET @fresh 1 NX
SET @fresh-expiring 1 NX PX 900000
SET @got 1
SET @got 2 GET
SET @at 1 EXAT 4102444800
SET @at-ms 1 PXAT 4102444800123
SETNX @setnx 1
SETNX @setnx 2
SETEX @setex 500 v
PSETEX @psetex 500000 v
MSET @m1 1 @m2 2 @m3 'three words here'
MSETNX @m4 1 @m5 2
MSETNX @m5 9 @m6 9
APPEND @m1 xyz
INCR @n
INCRBY @n 41
DECR @n
DECRBY @n 3
INCRBYFLOAT @f 0.1
INCRBYFLOAT @f 0.2
SETEX @f-expiring 900 1.5
INCRBYFLOAT @f-expiring 1.25
SETRANGE @range 5 hello
GETSET @s after
SET @getdel 1
GETDEL @getdel
SET @getex 1
GETEX @getex EX 700
SET @getex-persist 1 EX 10
GETEX @getex-persist PERSIST
SETBIT @bits 77 1
BITFIELD @bits SET u8 0 255 INCRBY i5 100 1 OVERFLOW SAT INCRBY u2 102 9
SET @b1 foobar
SET @b2 abcdef
BITOP AND @bitop @b1 @b2
BITOP NOT @bitnot @b1
PFADD @h1 a b c
PFADD @h2 c d e
PFMERGE @h3 @h1 @h2
# keys
SET @del 1
DEL @del @missing
SET @unlink 1
UNLINK @unlink
SET @old 1
RENAME @old @renamed
SET @rn1 1
RENAMENX @rn1 @rn2
SET @rn3 1
RENAMENX @rn3 @rn2
COPY @s @copied
COPY @n @copied
COPY @n @copied REPLACE
COPY @n @copied-away DB 2
SET @moved 1 EX 800
MOVE @moved 3
SET @e1 1
EXPIRE @e1 1000
SET @e2 1
PEXPIRE @e2 1000000
SET @e3 1
EXPIREAT @e3 4102444800
SET @e4 1
PEXPIREAT @e4 4102444800123
SET @persist 1 EX 100
PERSIST @persist
SET @expire-past 1
EXPIRE @expire-past -1
SET @expire-now 1
PEXPIREAT @expire-now 1
SET @short 1 PX 40
SET @read-short 1 PX 1
GET @read-short
RPUSH @sort 3 1 2
SORT @sort STORE @sorted
SORT @sort BY nosort GET # STORE @sorted-2
SORT @missing STORE @sorted-2
# lists
RPUSH @l a b c d e f g h i j
LPUSH @l z
LPUSHX @l y
LPUSHX @missing y
RPUSHX @l k
LPOP @l
LPOP @l 2
RPOP @l
RPOP @l 2
LINSERT @l BEFORE c new
LINSERT @l AFTER missing new
LSET @l 0 first
LREM @l 1 d
LTRIM @l 0 3
RPOPLPUSH @l @l2
LMOVE @l @l2 LEFT RIGHT
RPOPLPUSH @l2 @l2
BLPOP @l @l2 1
BRPOP @l2 1
RPUSH @l3 1 2 3 4
BLMOVE @l3 @l4 LEFT LEFT 1
BRPOPLPUSH @l3 @l4 1
RPUSH @gone 1
LPOP @gone
# sets
SADD @set a b c d e f 1 2 3
SREM @set a missing
SPOP @set
SPOP @set 2
SPOP @set 0
SADD @set2 c d x y
SMOVE @set2 @set x
SMOVE @set2 @set missing
SINTERSTORE @inter @set @set2
SUNIONSTORE @union @set @set2
SDIFFSTORE @diff @set @set2
SADD @set3 only
SPOP @set3 10
# sorted sets
ZADD @z 1 a 2 b 3 c 4 d 5 e 6 f 7 g 8 h 9 i 10 j
ZADD @z NX 100 a 11 k
ZADD @z XX 3.5 c 99 missing
ZADD @z GT CH 1 b 20 d
ZADD @z LT 1 e 50 f
ZADD @z INCR 2.5 g
ZADD @z NX INCR 1 g
ZINCRBY @z 1.1 h
ZREM @z i missing
ZREMRANGEBYRANK @z 0 0
ZREMRANGEBYSCORE @z 10 11
ZADD @lex 0 a 0 b 0 c 0 d
ZREMRANGEBYLEX @lex [b [c
ZPOPMIN @z
ZPOPMAX @z 2
BZPOPMIN @z 1
BZPOPMAX @z 1
ZADD @z2 1 x 2 y 3 z
ZADD @z3 5 y 6 z 7 w
ZRANGESTORE @zrange @z2 0 1
ZUNIONSTORE @zunion 2 @z2 @z3 WEIGHTS 2 3 AGGREGATE MAX
ZINTERSTORE @zinter 2 @z2 @z3
ZDIFFSTORE @zdiff 2 @z2 @z3
ZINTERSTORE @zinter 2 @z2 @missing
GEOADD @geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
GEOADD @geo NX 1 1 Palermo
GEORADIUS @geo 15 37 200 km STORE @near
GEORADIUSBYMEMBER @geo Palermo 300 km STOREDIST @near-distances
GEOSEARCHSTORE @near-2 @geo FROMLONLAT 15 37 BYBOX 400 400 km
# hashes
HSET @hash a 1 b 2 c 3
HMSET @hash d 4 e 5
HSETNX @hash a 9
HSETNX @hash f 9
HDEL @hash b missing
HINCRBY @hash a 10
HINCRBYFLOAT @hash c 0.7
HSET @hash-gone a 1
HDEL @hash-gone a
# streams
XADD @x * f 1
XADD @x * f 2 g 3
XADD @x NOMKSTREAM * f 3
XADD @missing NOMKSTREAM * f 3
XADD @x MAXLEN 100 * f 4
XADD @x MINID 1-1 * f 5
XADD @x MAXLEN ~ 100 * f 6
XADD @ids 1-1 a 1
XADD @ids 1-2 a 2
XADD @ids 2-1 a 3
XADD @ids 3-1 a 4
XADD @ids 4-1 a 5
XDEL @ids 1-2 9-9
XTRIM @ids MAXLEN 3
XSETID @ids 90-1
XGROUP CREATE @ids g 0
XGROUP CREATE @made g $ MKSTREAM
XGROUP CREATECONSUMER @ids g idle
XREADGROUP GROUP g anna COUNT 2 STREAMS @ids >
XREADGROUP GROUP g ben NOACK COUNT 1 STREAMS @ids >
XACK @ids g 2-1
XCLAIM @ids g clara 0 3-1
XCLAIM @ids g clara 0 3-1 JUSTID
XAUTOCLAIM @ids g dora 0 0 COUNT 1
XGROUP SETID @ids g 0
XREADGROUP GROUP g anna COUNT 2 STREAMS @ids >
XGROUP DELCONSUMER @ids g ben
XGROUP CREATE @ids h 0
XGROUP DESTROY @ids h
# scripts
EVAL "redis.call('SET', KEYS[1], ARGV[1]) redis.call('INCR', KEYS[2]) return redis.call('RPUSH', KEYS[3], 'a', 'b')" 3 @e-s @e-n @e-l 7
EVAL "return redis.call('INCRBY', KEYS[1], 5)" 1 @e-n
EVAL "redis.call('SPOP', KEYS[1]) redis.call('SET', KEYS[2], redis.call('TIME')[1], 'EX', 400)" 2 @set @e-time
EVAL "return redis.call('GET', KEYS[1])" 1 @e-n
EVAL "redis.call('SELECT', 4) redis.call('SET', KEYS[1], 'in 4')" 1 @e-select
"#;

/// What Redis 7 added; older targets understand what it becomes in the stream.
const SINCE_SEVEN: &str = r#"
SET @e7 1
EXPIRE @e7 1000 NX
EXPIRE @e7 2000 GT
PEXPIRE @e7 9000000 LT
RPUSH @lm 1 2 3 4 5
LMPOP 2 @missing @lm LEFT COUNT 2
BLMPOP 1 1 @lm RIGHT
ZADD @zm 1 a 2 b 3 c 4 d
ZMPOP 1 @zm MIN COUNT 2
BZMPOP 1 1 @zm MAX
SET @nxget 1 NX GET
XADD @partial 5-* a 1
XADD @partial 5-* a 2
"#;

/// What only a target of Redis 7 or later can hold.
const FOR_SEVEN: &str = r#"
XADD @counted 1-1 a 1
XSETID @counted 10-1 ENTRIESADDED 7 MAXDELETEDID 5-1
XGROUP CREATE @counted g 1-1 ENTRIESREAD 3
"#;

/// Fields of hashes that expire.
const FIELD_EXPIRY: &str = r#"
HSET @hf a 1 b 2 c 3 d 4 e 5
HEXPIRE @hf 1000 FIELDS 2 a b
HPEXPIRE @hf 2000000 FIELDS 1 c
HPEXPIREAT @hf 4102444800123 FIELDS 1 d
HPERSIST @hf FIELDS 1 a
HEXPIRE @hf 0 FIELDS 1 e
HSETEX @hfx EX 1000 FIELDS 2 a 1 b 2
HGETEX @hfx EX 2000 FIELDS 1 a
HSET @hf b 9
"#;

/// The lines that may be typed at `origin` and whose effects `peer` can hold, for keys that begin with `prefix`.
pub(crate) fn lines(prefix: &str, origin: Flavor, peer: Flavor) -> String {
    let mut text = COMMANDS.to_owned();
    if origin.at_least_seven() {
        text.push_str(SINCE_SEVEN);
        if peer.at_least_seven() {
            text.push_str(FOR_SEVEN);
        }
    }
    if origin.has_field_expiry() && peer.has_field_expiry() {
        text.push_str(FIELD_EXPIRY);
    }
    text.replace('@', prefix)
}
