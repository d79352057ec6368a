// A curve over time, or bars, as SVG of the element's own size. What is above zero comes from the grid, what is below goes into it.

const TOP = 18, BOTTOM = 26, RIGHT = 14;

// Round steps for an axis from low to high, about so many.
export function steps(low, high, about) {
  const raw = (high - low) / about, size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 4, 5, 10].find((each) => each * size >= raw) * size;
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-9; at += step) found.push(Math.abs(at) < step / 1e6 ? 0 : at);
  return found;
}

// Begins of whole local hours or days between two times, never closer than `apart` of `width` pixels.
export function timeSteps(from, to, most) {
  const minutes = [5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720, 1440, 2880].find((each) => (to - from) / (each * 60e3) <= most) ?? 10080;
  const first = new Date(from);
  first.setHours(0, 0, 0, 0);
  const found = [];
  for (let at = first; at <= to; ) {
    if (at >= from) found.push(+at);
    at = new Date(at);
    minutes >= 1440 ? at.setDate(at.getDate() + minutes / 1440) : at.setMinutes(at.getMinutes() + minutes);
  }
  return found;
}

const xml = (text) => String(text).replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

export class Chart {
  constructor(element, told) {
    this.element = element;
    this.told = told;
    this.cursor = null;
    this.content = null;
    new ResizeObserver(() => this.draw()).observe(element);
    element.addEventListener("pointermove", (event) => this.point(event));
    element.addEventListener("pointerdown", (event) => this.point(event));
    element.addEventListener("pointerleave", () => this.select(null));
    element.addEventListener("blur", () => this.select(null));
    element.addEventListener("keydown", (event) => this.key(event));
  }

  // {kind: "curve", points: [[ms, value|null]]} or {kind: "bars", bars: [{begin, end, up, down}]},
  // both with from, to, value(v), axis(v), time(ms), labels: [[ms, text]] and summary; or {kind: "text", text}.
  show(content) {
    if (this.content?.kind !== content.kind || this.content?.key !== content.key) this.cursor = null;
    this.content = content;
    this.element.setAttribute("aria-label", content.summary ?? content.text);
    this.draw();
  }

  draw() {
    const { element, content } = this, width = element.clientWidth, height = element.clientHeight;
    if (!content || !width || !height) return;
    if (content.kind === "text") {
      element.innerHTML = `<p class="message">${xml(content.text)}</p>`;
      return;
    }
    const values = content.kind === "curve" ? content.points.map(([, value]) => value ?? 0) : content.bars.flatMap((bar) => [bar.up, -bar.down]);
    let low = 0, high = content.least;
    for (const value of values) (low = Math.min(low, value)), (high = Math.max(high, value));
    const room = (high - low) * 0.06;
    [low, high] = [low < 0 ? low - room : 0, high + room];
    const size = parseFloat(getComputedStyle(element).fontSize) * 0.74;
    this.y = (value) => TOP + ((high - value) / (high - low)) * (height - TOP - BOTTOM);
    const zero = this.y(0), rows = steps(low, high, Math.max(5, Math.min(6, height / 56)));
    const left = Math.max(content.unit?.length ?? 0, ...rows.map((value) => content.axis(value).length)) * size * 0.58 + 10;
    this.x = (time) => left + ((time - content.from) / (content.to - content.from)) * (width - left - RIGHT);
    const grid = rows.map((value) => `<line class="${value ? "grid" : "zero"}" x1="${left.toFixed(1)}" x2="${width}" y1="${this.y(value).toFixed(1)}" y2="${this.y(value).toFixed(1)}"/>`);
    const scale = rows.map((value) => `<text class="axis" x="${(left - 8).toFixed(1)}" y="${(this.y(value) + size * 0.35).toFixed(1)}" text-anchor="end">${xml(content.axis(value))}</text>`);
    const times = content.labels.map(([time, text, anchor]) => `<text class="axis time" x="${this.x(time).toFixed(1)}" y="${height - 6}" text-anchor="${anchor ?? "middle"}">${xml(text)}</text>`);
    const clips = `<defs><clipPath id="above"><rect x="-9" y="-9" width="${width + 18}" height="${zero + 9}"/></clipPath><clipPath id="below"><rect x="-9" y="${zero}" width="${width + 18}" height="${height}"/></clipPath>
      <linearGradient id="fade-in" x1="0" x2="0" y1="0" y2="1"><stop class="in" offset="0" stop-opacity=".42"/><stop class="in" offset="1" stop-opacity=".06"/></linearGradient>
      <linearGradient id="fade-out" x1="0" x2="0" y1="0" y2="1"><stop class="out" offset="0" stop-opacity=".06"/><stop class="out" offset="1" stop-opacity=".5"/></linearGradient></defs>`;
    const unit = content.unit ? `<text class="axis" x="${(left - 8).toFixed(1)}" y="${TOP - 2}" text-anchor="end">${xml(content.unit)}</text>` : "";
    const body = content.kind === "curve" ? this.curve(content, zero) : this.bars(content);
    element.innerHTML = `<svg width="${width}" height="${height}" aria-hidden="true">${clips}${grid.join("")}${body}${unit}${scale.join("")}${times.join("")}<g class="cursor"></g></svg><div class="tip" hidden></div>`;
    this.mark();
  }

  curve({ points }, zero) {
    const runs = [];
    let run = null;
    for (const [time, value] of points) {
      if (value == null) run = null;
      else {
        if (!run) runs.push((run = []));
        run.push([this.x(time), this.y(value)]);
      }
    }
    const line = runs.map((each) => "M" + each.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")).join("");
    const area = runs.map((each) => `M${each[0][0].toFixed(1)} ${zero}L${each.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}L${each.at(-1)[0].toFixed(1)} ${zero}Z`).join("");
    const [time, value] = points.at(-1) ?? [];
    const dot = value == null ? "" : `<circle class="newest ${value < 0 ? "out" : "in"}" cx="${this.x(time).toFixed(1)}" cy="${this.y(value).toFixed(1)}" r="5"/>`;
    return `<path class="area in" d="${area}" clip-path="url(#above)"/><path class="area out" d="${area}" clip-path="url(#below)"/><path class="line in" d="${line}" clip-path="url(#above)"/><path class="line out" d="${line}" clip-path="url(#below)"/>${dot}`;
  }

  bars({ bars }) {
    return bars.map((bar, place) => {
      const wide = this.x(bar.end) - this.x(bar.begin), gap = wide > 24 ? wide * 0.24 : wide > 5 ? 1.5 : 0.5;
      const x = (this.x(bar.begin) + gap / 2).toFixed(1), width = Math.max(1, wide - gap).toFixed(1);
      const round = Math.min(6, (wide - gap) / 3).toFixed(1), zero = this.y(0);
      const up = bar.up > 0 ? `<rect class="bar in" data-at="${place}" x="${x}" width="${width}" y="${this.y(bar.up).toFixed(1)}" height="${(zero - this.y(bar.up)).toFixed(1)}" rx="${round}"/>` : "";
      const down = bar.down > 0 ? `<rect class="bar out" data-at="${place}" x="${x}" width="${width}" y="${zero.toFixed(1)}" height="${(this.y(-bar.down) - zero).toFixed(1)}" rx="${round}"/>` : "";
      return up + down;
    }).join("");
  }

  get places() {
    return this.content?.kind === "curve" ? this.content.points : this.content?.bars ?? [];
  }

  timeAt(place) {
    const found = this.places[place];
    return this.content.kind === "curve" ? found[0] : (found.begin + found.end) / 2;
  }

  point(event) {
    if (!this.x || !this.places.length) return;
    const x = event.clientX - this.element.getBoundingClientRect().left;
    let best = 0;
    for (let place = 0; place < this.places.length; place++) if (Math.abs(this.x(this.timeAt(place)) - x) < Math.abs(this.x(this.timeAt(best)) - x)) best = place;
    this.select(best);
  }

  key(event) {
    const last = this.places.length - 1;
    const stride = this.content?.kind === "curve" ? Math.max(1, Math.round(last / 60)) : 1;
    const at = this.cursor ?? last + (event.key === "ArrowLeft" ? stride : 0);
    const to = { ArrowLeft: at - stride, ArrowRight: at + stride, Home: 0, End: last, Escape: null }[event.key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    this.select(to === null ? null : Math.max(0, Math.min(last, to)), true);
  }

  select(place, aloud = false) {
    this.cursor = place;
    this.mark();
    if (aloud && place !== null) this.told(this.content.describe(this.places[place]).join(" "));
  }

  mark() {
    const layer = this.element.querySelector(".cursor"), tip = this.element.querySelector(".tip");
    if (!layer) return;
    const found = this.cursor === null ? null : this.places[this.cursor];
    tip.hidden = !found;
    layer.innerHTML = "";
    if (!found) return;
    const x = this.x(this.timeAt(this.cursor)), height = this.element.clientHeight;
    const value = this.content.kind === "curve" ? found[1] : null;
    layer.innerHTML = `<line x1="${x}" x2="${x}" y1="${TOP}" y2="${height - BOTTOM}"/>` + (value == null ? "" : `<circle class="${value < 0 ? "out" : "in"}" cx="${x}" cy="${this.y(value)}" r="5"/>`);
    const [when, ...what] = this.content.describe(found);
    tip.innerHTML = `<time>${xml(when)}</time>${what.map((each) => `<b>${xml(each)}</b>`).join("")}`;
    const wide = tip.offsetWidth;
    tip.style.transform = `translate(${Math.max(0, Math.min(this.element.clientWidth - wide, x - wide / 2))}px, 0)`;
  }
}
