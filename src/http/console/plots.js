// Lag and throughput of both links over the last quarter of an hour.

const MINUTES = 15;

export class Plots {
  #times = [];
  #lags = [[], []];
  #rates = [[], []];
  #plots = [];

  // `names` are those of both links.
  constructor(names) {
    this.names = names;
    for (const query of ['(prefers-color-scheme: dark)']) {
      matchMedia(query).addEventListener('change', () => this.#draw());
    }
    new ResizeObserver(() => this.#resize()).observe(document.querySelector('.plots'));
    this.#draw();
  }

  // The last moment that is known, Unix milliseconds.
  get last() {
    return (this.#times.at(-1) || 0) * 1000;
  }

  // Writes a second of a link, as it was last.
  rate(index) {
    return this.#rates[index].at(-1);
  }

  add(points) {
    if (points.length === 0) return;
    for (const point of points) {
      this.#times.push(point.at_ms / 1000);
      point.links.forEach((link, index) => {
        this.#lags[index].push(link.lag_ms);
        this.#rates[index].push(link.writes_per_s);
      });
    }
    const oldest = this.#times.at(-1) - MINUTES * 60;
    const gone = this.#times.findIndex((time) => time >= oldest);
    for (const series of [this.#times, ...this.#lags, ...this.#rates]) series.splice(0, gone);
    this.#plots.forEach((plot, index) => plot.setData(this.#data(index)));
  }

  #data(index) {
    return [this.#times, ...(index === 0 ? this.#lags : this.#rates)];
  }

  #draw() {
    this.#plots.forEach((plot) => plot.destroy());
    this.#plots = ['plot-lag', 'plot-writes'].map((id, index) => {
      const place = document.getElementById(id);
      return new uPlot(this.#options(place, index), this.#data(index), place);
    });
  }

  #options(place, index) {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: color('--quiet'), grid: { stroke: color('--line'), width: 1 }, ticks: { stroke: color('--line'), width: 1 } };
    const series = (name, stroke) => ({
      label: name, stroke, width: 2, points: { show: false }, value: (_, value) => (value == null ? '-' : Math.round(value).toLocaleString('en')),
    });
    return {
      ...this.#size(place),
      series: [{ label: 'time', value: '{HH}:{mm}:{ss}' }, series(this.names[0], color('--forward')), series(this.names[1], color('--reverse'))],
      axes: [
        { ...axis, values: [[3600, '{HH}:{mm}', null, null, null, null, null, null, 1], [60, '{HH}:{mm}', null, null, null, null, null, null, 1], [1, '{HH}:{mm}:{ss}', null, null, null, null, null, null, 1]] },
        { ...axis, size: 62, values: (_, values) => values.map((value) => value.toLocaleString('en')) },
      ],
      scales: { x: { range: (_, from, to) => [Math.min(from ?? to, to - 60), to] }, y: { range: (_, least, most) => [0, Math.max(10, (most || 0) * 1.15)] } },
      cursor: { sync: { key: 'duet' } },
      legend: { live: true },
    };
  }

  #size(place) {
    return { width: Math.max(200, place.clientWidth), height: Math.max(140, place.clientHeight - 30) };
  }

  #resize() {
    for (const plot of this.#plots) plot.setSize(this.#size(plot.root.parentElement));
  }
}
