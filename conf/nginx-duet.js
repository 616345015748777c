// Which region a new connection goes to: see nginx-stream.conf.

const DUET = 'http://127.0.0.1:8780';
// The near one first.
const REGIONS = ['eu-west', 'us-east'];
const MAX_LAG_MS = 500;

async function choose(session) {
    session.variables.region = await inStep(session);
    session.allow();
}

// The first region that is in step. When nobody is, or Duet does not answer: the near one, since a server that lags is
// better than none.
async function inStep(session) {
    for (let i = 0; i < REGIONS.length; i++) {
        try {
            const reply = await ngx.fetch(`${DUET}/syncz?region=${REGIONS[i]}&max_lag_ms=${MAX_LAG_MS}`);
            if (reply.status === 200) {
                return REGIONS[i];
            }
        } catch (error) {
            session.warn(`Duet does not answer: ${error.message}`);
            break;
        }
    }
    return REGIONS[0];
}

export default { choose };
