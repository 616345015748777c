// Figures in words.

export const number = (value) => Math.round(value).toLocaleString('en');

export function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) { value /= 1024; unit += 1; }
  return `${value >= 10 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function seconds(value) {
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 90) return `${Math.round(value)} s`;
  if (value < 5400) return `${Math.round(value / 60)} min`;
  if (value < 172800) return `${Math.round(value / 3600)} h`;
  return `${Math.round(value / 86400)} days`;
}

export const lag = (ms) => (ms == null ? '?' : ms < 10000 ? `${number(ms)} ms` : seconds(ms / 1000));
export const clock = (time) => new Date(time).toLocaleTimeString('en-GB');
export const many = (count, one) => `${number(count)} ${one}${count === 1 ? '' : 's'}`;
