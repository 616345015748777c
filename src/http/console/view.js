// The page as a status says it. Only text is put in, never markup: keys and values are those of clients.

import { bytes, clock, lag, many, number, seconds } from './words.js';

const at = (id) => document.getElementById(id);

function make(tag, more = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(more)) {
    if (name === 'class') element.className = value; else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

// Puts new children in, but only where something has changed: what is read out or selected stays.
function fill(element, ...children) {
  const fresh = make('div', {}, ...children);
  if (fresh.innerHTML !== element.dataset.shown) {
    element.dataset.shown = fresh.innerHTML;
    element.replaceChildren(...fresh.childNodes);
  }
}

const STATES = { streaming: 'good', full_sync: 'busy', connecting: 'warn', paused: 'warn', held: 'bad', halted: 'bad', stopped: 'bad' };
const badge = (text, kind = '') => make('span', { class: `badge ${kind}` }, text);
const figure = (value, what) => make('div', {}, make('b', {}, value), make('span', {}, what));

export function headline(status) {
  at('pair').textContent = status.pair;
  document.title = `${status.ready ? '' : '! '}${status.pair} - Duet`;
  const ready = at('ready');
  ready.textContent = status.ready ? 'ready' : 'not ready';
  ready.className = `badge ${status.ready ? 'good' : 'bad'}`;
  const { offset_ms, bound_ms, state } = status.clock;
  const apart = offset_ms == null ? 'clocks not known' : `clocks ${Math.abs(offset_ms)} ms (± ${bound_ms}) apart${state === 'agree' ? '' : `: ${state}`}`;
  at('about').textContent = `duet ${status.version}, up ${seconds(status.uptime_s)}, ${apart}`;
}

export function region(index, region, health) {
  const rows = [];
  const row = (name, value) => { if (value != null) rows.push(make('dt', {}, name), make('dd', {}, value)); };
  row('server', badge(region.reachable ? 'answers' : 'does not answer', region.reachable ? '' : 'bad'));
  const server = region.server;
  if (server) {
    row('writes', server.bytes_per_s == null ? null : `${bytes(server.bytes_per_s)}/s`);
    row('backlog', server.backlog_bytes == null ? 'none' : bytes(server.backlog_bytes));
    row('a cut may last', region.backlog_lasts_s == null ? null : seconds(region.backlog_lasts_s));
    row('memory', server.memory_bytes == null ? null : bytes(server.memory_bytes));
  }
  const kept = region.duty !== 'serving';
  const serves = health && health.serve;
  const word = kept ? region.duty : serves ? 'serving' : 'not in step';
  fill(at(`region-${index}`),
    make('div', { class: 'top' }, make('h3', {}, region.name), badge(health ? word : '?', serves ? 'good' : 'bad')),
    make('dl', {}, ...rows),
    health && health.reason ? why(serves ? 'warn' : 'bad', serves ? 'Balancers send clients here' : 'Balancers send no clients here', health.reason) : null,
  );
}

export function link(index, link, rate) {
  const state = link.stalled ? 'stalled' : link.state;
  const kind = link.stalled ? 'bad' : STATES[link.state] || '';
  const reason = link.reason ? why(kind === 'good' ? 'warn' : kind, link.reason, link.remedy) : null;
  const aside = Object.entries(link.set_aside_by_kind).map(([what, count]) => `${what} ${number(count)}`).join(', ');
  fill(at(`link-${index}`),
    make('div', { class: 'top' },
      make('h3', {}, link.source, ' ', make('span', { class: 'arrow', 'aria-label': 'to' }, '→'), ' ', link.target),
      make('span', { class: 'quiet' }, link.direction),
      badge(state.replace('_', ' '), kind)),
    make('div', { class: 'figures' },
      figure(lag(link.lag_ms), 'lag'),
      figure(rate == null ? '?' : number(rate), 'writes/s'),
      figure(number(link.writes_applied), 'applied'),
      figure(number(link.set_aside), 'set aside'),
      figure(number(link.reconnects), 'reconnects')),
    link.full_sync ? copying(link.full_sync) : null,
    reason,
    aside ? why('warn', 'Not copied', aside) : null,
  );
}

function copying({ keys_done, keys_total, keys_per_s, bytes_done, seconds_left }) {
  const known = keys_total > 0;
  const bar = make('progress', known ? { max: keys_total, value: Math.min(keys_done, keys_total) } : {});
  bar.setAttribute('aria-label', 'Full copy');
  const share = known ? `${Math.floor(100 * Math.min(1, keys_done / keys_total))} %, ` : '';
  const of = known ? ` of ${number(keys_total)}` : '';
  const left = seconds_left == null ? '' : `, ${seconds(seconds_left)} left`;
  return make('div', {}, bar, make('p', { class: 'quiet' },
    `full copy: ${share}${number(keys_done)}${of} keys, ${bytes(bytes_done)}, ${number(keys_per_s)} keys/s${left}`));
}

function why(kind, what, more) {
  return make('p', { class: `why ${kind}` }, make('b', {}, what), more || '');
}

export function held(conflicts) {
  const banner = at('held');
  banner.hidden = !conflicts.held_now;
  const named = conflicts.held_keys.slice(0, 10).map((key) => `"${key.key}" (database ${key.database})`).join(', ');
  banner.textContent = `${many(conflicts.held_now, 'key')} differ until somebody decides (duet resolve KEY --winner REGION): ${named}`;
}

export function conflicts(answer, status) {
  const { replayed, dropped, reconciled, held, unresolved } = status.conflicts;
  const counts = [[replayed, 'replayed'], [dropped, 'dropped'], [reconciled, 'reconciled'], [held, 'held'], [unresolved, 'unresolved']];
  const shown = counts.filter(([count]) => count > 0).map(([count, what]) => `${number(count)} ${what}`);
  at('conflict-counts').textContent = shown.join(', ') || 'none';
  const rows = [...answer.conflicts].reverse();
  at('no-conflicts').hidden = rows.length > 0;
  fill(at('conflict-rows'), ...rows.map((one) => make('tr', {},
    cell('Found', clock(one.time), 'time'),
    cell('Key', one.database ? `${one.key} (database ${one.database})` : one.key, 'mono'),
    cell('About', one.unit.name ? `${one.unit.kind} ${one.unit.name}` : one.unit.kind),
    side('Stays', one.winner, one.against),
    side('Lost', one.loser, one.write),
    cell('Done', one.done))));
}

function side(label, { region, time }, write) {
  const words = write ? write.words.join(' ') + (write.truncated ? ' ...' : '') : 'its value';
  const when = time ? ` ${new Date(time).toISOString().slice(11, 23)}` : '';
  return cell(label, make('div', {}, make('div', { class: 'mono' }, words.length > 200 ? `${words.slice(0, 200)} ...` : words),
    make('div', { class: 'quiet' }, `${region}${when}`)));
}

function cell(label, content, kind = '') {
  return make('td', { class: kind, 'data-label': label }, content);
}

// The daemon's own verification; nothing where it is off.
export function verify(verify) {
  at('verify').hidden = verify.state === 'off';
  if (verify.state === 'off') return;
  const { covered_within_s, round, different, compared, rounds, repaired, error } = verify;
  const going = round && round.total > 0 ? `, a round is at ${Math.floor(100 * Math.min(1, round.seen / round.total))} %` : '';
  at('verify-coverage').textContent = covered_within_s == null
    ? `not all keys were compared yet${going}`
    : `all keys were compared within the last ${seconds(covered_within_s)}${going}`;
  fill(at('verify-figures'),
    figure(number(different), 'differ'),
    figure(number(compared), 'compared'),
    figure(number(rounds), 'rounds'),
    figure(number(repaired), 'repaired'));
  at('verify-table').hidden = verify.findings.length === 0;
  fill(at('verify-rows'), ...verify.findings.map((one) => make('tr', {},
    cell('Seen', clock(one.seen_at), 'time'),
    cell('Key', one.database ? `${one.key} (database ${one.database})` : one.key, 'mono'),
    cell('Difference', one.difference.replace('_', ' ')),
    cell('Why', one.reason || ''))));
  at('verify-error').hidden = !error;
  at('verify-error').textContent = error ? `The last round did not come to its end: ${error}` : '';
}

const RESULTS = { ok: ['ok', 'good'], warning: ['warning', 'warn'], failed: ['failed', 'bad'] };

export function precheck(precheck) {
  at('no-precheck').hidden = Boolean(precheck);
  if (!precheck) return;
  const worst = { ok: 0, warning: 1, failed: 2 };
  const rows = [...precheck.rows].sort((one, other) => worst[other.result] - worst[one.result]);
  const count = (result) => rows.filter((row) => row.result === result).length;
  at('precheck-result').textContent = `of this start: ${count('failed')} failed, ${many(count('warning'), 'warning')}, ${count('ok')} ok`;
  fill(at('precheck-rows'), ...rows.map((row) => make('tr', {},
    cell('Result', badge(row.ignored ? `${row.result}, ignored` : RESULTS[row.result][0], row.ignored ? '' : RESULTS[row.result][1])),
    cell('Item', row.item.replaceAll('_', ' ')), cell('Of', row.of), cell('Seen', row.seen), cell('What to do', row.remedy || ''))));
}

// A drill shows whatever it says of itself: its state first.
export function drill(drill) {
  at('drill').hidden = !drill;
  if (!drill) return;
  const rows = Object.entries(drill).filter(([, value]) => value != null && typeof value !== 'object');
  const lists = Object.entries(drill).filter(([, value]) => Array.isArray(value));
  fill(at('drill-body'),
    make('dl', {}, ...rows.flatMap(([name, value]) => [make('dt', {}, name.replaceAll('_', ' ')), make('dd', {}, String(value))])),
    ...lists.flatMap(([name, items]) => [make('h3', {}, name.replaceAll('_', ' ')),
      make('ol', {}, ...items.map((item) => make('div', {}, typeof item === 'string' ? item : Object.values(item).filter((part) => part != null && typeof part !== 'object').join(' - '))))]));
}

const LEVELS = { error: 'bad', warn: 'warn', info: '' };

export function events(lines) {
  at('no-events').hidden = lines.length > 0;
  fill(at('event-rows'), ...[...lines].reverse().map((line) => make('li', {},
    make('time', { datetime: line.time }, clock(line.time)),
    badge(line.level, LEVELS[line.level]),
    make('div', {}, line.text, line.fields ? make('div', { class: 'mono quiet' }, line.fields) : null))));
}

// Since when nothing is known, and of when what is shown is; `null` when all is fresh.
export function stale(last, now) {
  const banner = at('stale');
  banner.hidden = last == null;
  document.body.classList.toggle('is-stale', last != null);
  if (last == null) return;
  const shown = last > 0 ? `What is shown is of ${clock(last)}, ${seconds((now - last) / 1000)} ago.` : 'Nothing is known yet.';
  banner.textContent = `Stale: Duet does not answer. ${shown}`;
  at('ready').textContent = 'stale';
  at('ready').className = 'badge bad';
  document.title = 'stale - Duet';
}
