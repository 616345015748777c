// Asks the daemon again and again, and shows what it says. Nothing here changes anything.

import { Plots } from './plots.js';
import * as view from './view.js';

const EVERY_MS = 1000;
// Longer without an answer, and what is shown is called stale.
const STALE_MS = 3000;
const EVENTS = 200;

const known = { plots: null, events: [], uptime: 0, answered: 0 };

async function ask(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(STALE_MS), cache: 'no-store' });
  return answer.json();
}

async function look() {
  const status = await ask('/status');
  // A daemon that was started again counts its events anew.
  if (status.uptime_s < known.uptime) known.events = [];
  known.uptime = status.uptime_s;
  const regions = status.regions.map((region) => ask(`/syncz?region=${encodeURIComponent(region.name)}`));
  const [history, conflicts, events, ...health] = await Promise.all([
    ask(`/history?since=${known.plots ? known.plots.last : 0}`),
    ask('/conflicts?limit=50'),
    ask(`/events?since=${known.events.at(-1)?.number || 0}`),
    ...regions,
  ]);
  show(status, history.points, conflicts, events.events, health);
}

function show(status, points, conflicts, events, health) {
  known.plots ||= new Plots(status.links.map((link) => `${link.source} → ${link.target}`));
  known.plots.add(points);
  known.events = [...known.events, ...events].slice(-EVENTS);
  view.headline(status);
  status.regions.forEach((region, index) => view.region(index, region, health[index]));
  status.links.forEach((link, index) => view.link(index, link, known.plots.rate(index)));
  view.held(status.conflicts);
  view.conflicts(conflicts, status);
  view.verify(status.verify);
  view.precheck(status.precheck);
  view.drill(status.drill);
  view.events(known.events);
}

async function run() {
  for (;;) {
    try {
      await look();
      known.answered = Date.now();
      view.stale(null);
    } catch (error) {
      // Whether it is away, or says what is not understood: what is shown is old.
      console.warn(error);
      if (Date.now() - known.answered > STALE_MS) view.stale(known.answered, Date.now());
    }
    await new Promise((next) => setTimeout(next, EVERY_MS));
  }
}

run();
