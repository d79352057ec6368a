// The page: what comes over /api/events is put where it belongs. Asks nobody but the gateway it came from.

import { Chart, timeSteps } from "./chart.js";
import { addDays, atMidnight, day, startOfDay, total } from "./profile.js";
import { clock, duration, energyText, languageOf, locale, moment, number, power, powerText, speak, t, texts } from "./texts.js";

const $ = (id) => document.getElementById(id);
const stored = (() => { try { return localStorage; } catch { return null; } })(); // not in every frame
const keep = (key, value) => { try { stored?.setItem(key, value); } catch { /* full, or not allowed */ } };
const LENGTH = { hour: 3600e3, today: 86400e3 };
const DAYS = { day: 1, week: 7, month: 28 };

const state = {
  language: languageOf([stored?.getItem("nesgw.language") ?? "", ...navigator.languages]),
  names: { fields: {}, alarms: {} }, meters: [], meter: null, heard: 0, connected: false,
  curves: { hour: [], today: [] }, range: stored?.getItem("nesgw.range") in { hour: 1, today: 1 } ? stored.getItem("nesgw.range") : "today", back: 0, bars: null, midnight: null,
};
let events = null, asking = null;
const chart = new Chart($("chart"), (sentence) => ($("cursor").textContent = sentence));

const element = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) value != null && made.setAttribute(name, value);
  made.append(...children.filter((child) => child != null));
  return made;
};

// Routes: #/METER, #/METER/values

function route() {
  const [, name = "", view = ""] = decodeURIComponent(location.hash).split("/");
  return { name: name || state.meters[0]?.name || "", values: view === "values" };
}

const link = (name, values) => `#/${encodeURIComponent(name)}${values ? "/values" : ""}`;

// What the gateway says

function listen() {
  events?.close();
  asking?.abort();
  Object.assign(state, { meter: null, curves: { hour: [], today: [] }, bars: null, midnight: null, back: 0 });
  const { name } = route();
  events = new EventSource(`api/events?${new URLSearchParams({ lang: state.language, ...(name && { meter: name }) })}`);
  const on = (kind, take) => events.addEventListener(kind, (event) => { state.connected = true; take(JSON.parse(event.data)); render(); });
  on("meters", (meters) => (state.meters = meters));
  on("curves", ({ hour, day }) => (state.curves = { hour: unpacked(hour), today: unpacked(day) }));
  on("meter", takeMeter);
  events.onerror = () => { state.connected = false; render(); if (events.readyState === EventSource.CLOSED) setTimeout(listen, 5000); };
}

const unpacked = ({ begin, step, watts }) => watts.map((value, place) => [(begin + (place + 0.5) * step) * 1000, value]).filter(([time]) => time <= Date.now());

function takeMeter(meter) {
  const first = state.meter === null;
  state.meter = meter;
  state.heard = performance.now();
  if (meter.online && meter.state) {
    const time = +new Date(meter.state.time), gap = 1000 * Math.max(30, 3 * meter.poll_interval_s);
    for (const [range, points] of Object.entries(state.curves)) {
      const before = points.at(-1)?.[0] ?? time;
      if (time <= before && points.length) continue;
      if (time - before > gap) points.push([before + 1, null]);
      points.push([time, meter.state.power ?? null]);
      while (points[0][0] < time - LENGTH[range]) points.shift();
    }
  }
  if (first && startOfDay(Date.now()) < new Date(meter.today?.since ?? 0) - 900e3) askMidnight(meter);
}

function askMidnight(meter) {
  atMidnight(meter.name).then((start) => { state.midnight = start && { ...start, meter: meter.name, day: +startOfDay(Date.now()) }; render(); }, () => {});
}

// The load profile

function period() {
  const end = addDays(startOfDay(Date.now()), 1 - state.back * DAYS[state.range]);
  return [addDays(end, -DAYS[state.range]), end];
}

async function loadBars() {
  asking?.abort();
  const controller = (asking = new AbortController()), { signal } = controller, { name } = route(), [from] = period();
  const bars = (state.bars = { days: new Map(), of: DAYS[state.range], problem: null, done: false });
  try {
    for (let back = DAYS[state.range] - 1; back >= 0 && !signal.aborted; back--) {
      const begin = addDays(from, back);
      if (begin > Date.now()) { bars.of--; continue; }
      bars.days.set(+begin, await day(name, begin, signal));
      if (state.bars === bars) drawChart();
    }
  } catch (error) {
    if (signal.aborted) return;
    bars.problem = error.message;
  }
  bars.done = true;
  if (state.bars === bars) drawChart();
}

function choose(range) {
  Object.assign(state, { range, back: 0, bars: null });
  keep("nesgw.range", range);
  asking?.abort();
  range in DAYS ? loadBars() : drawChart();
  drawChart();
}

// Drawing

function drawChart() {
  const bars = state.range in DAYS;
  $("steps").hidden = !bars;
  $("table").hidden = !(bars && state.bars?.days.size);
  $("chart-sums").hidden = !bars;
  bars ? drawBars() : drawCurve();
}

function drawCurve() {
  const points = state.curves[state.range], to = Math.max(Date.now(), points.at(-1)?.[0] ?? 0);
  if (!points.length) return chart.show({ kind: "text", text: t("growing") });
  const values = points.map(([, value]) => value).filter((value) => value != null);
  const from = Math.max(to - LENGTH[state.range], Math.min(points[0][0], to - LENGTH[state.range] / 6));
  const shown = points.filter(([time]) => time >= from);
  chart.show({
    kind: "curve", key: state.range, points: shown, from, to, least: 100,
    axis: (value) => (Math.abs(value) >= 1000 ? `${number(value / 1000, value % 1000 ? 1 : 0)} kW` : `${number(value)} W`),
    labels: timeSteps(from, to, Math.max(4, $("chart").clientWidth / 90)).filter((time) => time > from + (to - from) * 0.03 && time < to - (to - from) * 0.04).map((time) => [time, clock(time)]),
    describe: ([time, value]) => [clock(time, state.range === "hour"), value == null ? t("noValue") : `${powerText(value)}`],
    summary: t("chartLive", { range: t(state.range === "hour" ? "hour" : "hours24"), now: powerText(values.at(-1)), high: powerText(Math.max(...values)), low: powerText(Math.min(...values)) }),
  });
}

function drawBars() {
  const [from, end] = period(), { bars } = state, single = state.range === "day";
  const words = single ? moment(from, { weekday: "long", day: "numeric", month: "long" }) : new Intl.DateTimeFormat(locale(), { day: "numeric", month: "short" }).formatRange(from, addDays(end, -1));
  $("period").textContent = words;
  $("later").disabled = state.back === 0;
  const days = [...(bars?.days ?? [])].sort(([one], [other]) => one - other);
  const shown = single ? days.flatMap(([, intervals]) => intervals) : days.map(([begin, intervals]) => ({ begin, end: +addDays(begin, 1), ...total(intervals) }));
  const all = total(shown);
  const sums = shown.length ? [t("drawn", { v: energyText(all.up) }), ...(all.down > 0 ? [t("fed", { v: energyText(all.down) })] : [])] : [];
  if (bars && !bars.done) sums.push(t("reading", { n: Math.min(bars.days.size + 1, bars.of), of: bars.of }));
  if (bars?.problem && shown.length) sums.push(bars.problem);
  $("chart-sums").textContent = sums.join(" · ");
  if (!shown.length) return chart.show({ kind: "text", text: bars?.problem ?? (bars?.done ? t("empty") : t("reading", { n: 1, of: bars?.of ?? 1 })) });
  const wide = $("chart").clientWidth;
  const labels = single
    ? timeSteps(+from, +end, Math.max(4, wide / 90)).filter((time) => time > from && time < end).map((time) => [time, clock(time)])
    : [...Array(DAYS[state.range]).keys()].map((back) => addDays(from, back)).filter((_, place) => state.range === "week" || place % (wide > 620 ? 2 : 4) === 1)
      .map((begin) => [+begin + 43200e3, moment(begin, state.range === "week" && wide < 480 ? { weekday: "short" } : state.range === "week" ? { weekday: "short", day: "numeric" } : { day: "numeric" })]);
  const describe = (bar) => [
    single ? `${clock(bar.begin)}–${clock(bar.end)}` : moment(bar.begin, { weekday: "short", day: "numeric", month: "short" }),
    ...(bar.gap ? [t("noValue")] : [t("drawn", { v: energyText(bar.up) }), ...(bar.down > 0 ? [t("fed", { v: energyText(bar.down) })] : [])]),
  ];
  chart.show({ kind: "bars", key: `${state.range} ${+from}`, bars: shown, from: +from, to: +end, least: 0.1, unit: "kWh", axis: (value) => number(Math.abs(value), Math.abs(value) % 1 ? (Math.abs(value) < 0.1 ? 2 : 1) : 0), labels, describe, summary: t("chartEnergy", { period: words }) });
  const fed = all.down > 0;
  $("table-rows").setAttribute("aria-label", words);
  $("table-rows").replaceChildren(table([t("time"), `${t("import")} kWh`, ...(fed ? [`${t("export")} kWh`] : [])], shown.map((bar) => [describe(bar)[0], number(bar.up, 3), ...(fed ? [number(bar.down, 3)] : [])])));
}

function render() {
  const { meter } = state, { name, values } = route();
  $("meters").hidden = state.meters.length < 2;
  replaceIfNew($("meters"), state.meters.map((each) => element("a", { href: link(each.name, values), "aria-current": each.name === name ? "page" : null, class: each.online ? "" : "off" }, each.label)));
  $("to-now").href = link(name, false);
  $("to-values").href = link(name, true);
  $("to-now").toggleAttribute("aria-current", !values);
  $("to-values").toggleAttribute("aria-current", values);
  $("view-now").hidden = values;
  $("view-values").hidden = !values;
  const label = meter?.label ?? state.meters.find((each) => each.name === name)?.label ?? "nesgw";
  $("title").textContent = label;
  $("json").href = meter ? `api/meters/${encodeURIComponent(meter.name)}` : "api/meters";
  renderPulse();
  renderPower();
  if (!meter) return;
  renderProblem(meter);
  renderPhases(meter);
  renderToday(meter);
  renderDemand(meter.demand);
  renderProbe(meter);
  renderSubMeters(meter.sub_meters);
  if (values) renderValues(meter);
  if (!(state.range in DAYS)) drawChart();
}

// Leaves alone what is the same: a link that has the focus keeps it, and a screen reader says nothing.
function replaceIfNew(parent, children) {
  const made = children.map((child) => child.outerHTML).join("");
  if (parent.innerHTML !== made) parent.replaceChildren(...children);
}

function setText(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

const age = () => (state.meter?.age_s == null ? null : state.meter.age_s + (performance.now() - state.heard) / 1000);

function renderPulse() {
  const { meter, connected } = state;
  const mode = !connected ? (meter ? "lost" : "connecting") : !meter?.state ? "waiting" : meter.online ? "live" : "offline";
  $("pulse").dataset.state = mode;
  const said = { lost: t("lost"), connecting: t("connecting"), waiting: t("connecting"), live: t("live"), offline: t("offline") }[mode];
  const old = age();
  setText("pulse-text", mode === "live" || mode === "offline" ? `${said} · ${t("ago", { age: duration(old ?? 0) })}` : said);
}

function renderPower() {
  const { meter, connected } = state, fresh = connected && meter?.online, watts = fresh ? meter.state?.power : null;
  const flow = watts == null ? "none" : watts > 0 ? "in" : watts < 0 ? "out" : "idle";
  document.body.dataset.flow = flow;
  setText("direction-text", t({ in: "importing", out: "exporting", idle: "idle" }[flow] ?? (!meter?.state ? "waiting" : fresh ? "unknown" : "silent")));
  const [figure, unit] = watts == null ? ["–", ""] : power(Math.abs(watts));
  $("power").parentElement.classList.toggle("none", watts == null);
  setText("power", figure);
  setText("power-unit", unit);
  const last = meter?.state?.power;
  setText("power-note", fresh ? "" : !meter?.state ? (meter && !meter.problem ? t("waitingNote") : "") : last == null ? "" : t("was", { power: powerText(last), time: when(meter.state.time) }));
  document.title = `${watts == null ? "–" : powerText(watts)} · ${$("title").textContent}`;
}

function when(time) {
  const then = new Date(time);
  return startOfDay(then) < startOfDay(Date.now()) ? moment(then, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" }) : clock(then);
}

function renderProblem(meter) {
  const problem = state.meters.find((each) => each.name === meter.name)?.problem ?? meter.status?.last_error;
  $("problem").hidden = !problem;
  setText("problem-text", problem ?? "");
  const raised = (meter.status?.alarms ?? []).filter((key) => key in state.names.alarms).map((key) => state.names.alarms[key]);
  $("alarms").hidden = !raised.length;
  setText("alarms", raised.length ? t("alarms", { list: raised.join(", ") }) : "");
}

function renderPhases({ state: read, online }) {
  const phases = [1, 2, 3].filter((phase) => read && [`power_l${phase}`, `voltage_l${phase}`, `current_l${phase}`].some((key) => key in read));
  $("phases").hidden = !phases.length;
  const powers = phases.map((phase) => read[`power_l${phase}`]), most = Math.max(1000, ...powers.map((each) => 1.15 * Math.abs(each ?? 0)));
  const both = powers.some((each) => each < 0) || (read?.energy_export ?? 0) > 0, measured = phases.some((phase) => `power_l${phase}` in read);
  const list = $("phase-list"), shape = `${phases} ${both} ${measured}`;
  if (list.dataset.shape !== shape) {
    list.dataset.shape = shape;
    const track = () => element("span", { class: `track${both ? " both" : ""}`, "aria-hidden": "true" }, element("i"));
    list.replaceChildren(...phases.map((phase) => element("li", { class: measured ? null : "plain" }, element("span", { class: "phase" }, `L${phase}`), ...(measured ? [track(), element("b")] : []), element("span", { class: "small" }))));
  }
  phases.forEach((phase, place) => {
    const row = list.children[place], watts = online ? powers[place] : null, width = (Math.abs(watts ?? 0) / most) * (both ? 50 : 100);
    const value = (key, digits, unit) => (online && read[key] != null ? `${number(read[key], digits)}\u202f${unit}` : null);
    row.querySelector(".small").textContent = [value(`voltage_l${phase}`, 1, "V"), value(`current_l${phase}`, 2, "A")].filter(Boolean).join(" · ");
    if (!measured) return;
    row.querySelector("b").textContent = powerText(watts);
    row.dataset.flow = watts < 0 ? "out" : "in";
    Object.assign(row.querySelector("i").style, { left: `${both ? (watts < 0 ? 50 - width : 50) : 0}%`, width: `${width}%` });
  });
}

function renderToday({ state: read, today, online, name }) {
  $("today").hidden = !read;
  const midnight = state.midnight?.meter === name && state.midnight.day === +startOfDay(Date.now()) ? state.midnight : null;
  const used = (key) => (midnight?.[key] != null && read?.[key] != null ? read[key] - midnight[key] : today?.[key]);
  const late = !midnight && today && new Date(today.since) - startOfDay(Date.now()) > 900e3;
  setText("today-title", `${t("today")}${late ? ` · ${t("since", { time: clock(new Date(today.since)) })}` : ""}`);
  const figures = [["import", "importedToday", "in"], ["export", "exportedToday", "out"]].filter(([way]) => read && `energy_${way}` in read && (way === "import" || read[`energy_${way}`] > 0));
  replaceIfNew($("today-list"), figures.map(([way, word, flow]) => element("div", { class: flow }, element("dt", {}, t(word)), element("dd", {}, number(used(`energy_${way}`), 2), element("small", {}, " kWh")))));
  const rows = Object.keys(read ?? {}).filter((key) => /^energy_(import|export)(_t\d)?$/.test(key) && (read[key] !== 0 || key === "energy_import"));
  const order = (key) => (key.startsWith("energy_import") ? 0 : 10) + Number(key.match(/_t(\d)$/)?.[1] ?? 0);
  replaceIfNew($("registers"), rows.sort((one, other) => order(one) - order(other)).map((key) => {
    const [, way, tariff] = key.match(/^energy_(import|export)(?:_t(\d))?$/);
    return element("div", { class: tariff ? "sub" : "" }, element("dt", {}, tariff ? t("tariff", { n: tariff }) : t(way)), element("dd", { class: "counter" }, ...counter(read[key])));
  }));
  $("today").classList.toggle("stale", !online);
}

function counter(kwh) {
  const [whole, decimals] = number(kwh, 3).split(/[.,](?=\d{3}$)/);
  return kwh == null ? ["–"] : [whole, element("small", {}, `${number(0.1, 1).charAt(1)}${decimals ?? ""}\u202fkWh`)];
}

// What the meter is billed for where power is: the mean of an interval, and the month's highest.
function renderDemand(demand) {
  const rows = [];
  const add = (way, word, watts, note) => { if (watts > 0) rows.push(element("div", { class: way === "export" ? "out" : "in" }, element("dt", {}, `${t(word)} `, element("small", {}, [way === "export" ? t("export") : null, note].filter(Boolean).join(" · "))), element("dd", {}, powerText(watts)))); };
  for (const way of ["import", "export"]) {
    const { start, minutes, running, month, last_month: before } = demand ?? {}, begin = (moment) => (moment ? when(moment) : null);
    add(way, "running", running?.[`${way}_so_far_w`], begin(running?.start));
    add(way, "lastInterval", demand?.[`${way}_w`], start ? `${when(start)}–${clock(+new Date(start) + minutes * 60e3)}` : null);
    add(way, "peakMonth", month?.[`${way}_w`], begin(month?.[`${way}_start`]));
    add(way, "peakLastMonth", before?.[`${way}_w`], begin(before?.[`${way}_start`]));
  }
  for (const { field, value, unit, time } of demand?.maxima ?? []) {
    if (value == null) continue;
    rows.push(element("div", {}, element("dt", {}, `${t("ownMaximum")} `, element("small", {}, [state.names.fields[field]?.name ?? field, time && when(time)].filter(Boolean).join(" · "))), element("dd", {}, quantity(value, unit))));
  }
  $("demand").hidden = !rows.length;
  setText("demand-title", demand?.minutes ? t("demandOf", { n: demand.minutes }) : t("demand"));
  replaceIfNew($("demand-list"), rows);
}

function failure(kind) {
  const key = `failure_${kind}`, said = t(key);
  return said === key ? kind.replaceAll("_", " ") : said;
}

function renderProbe({ status, online, state: read }) {
  const polls = status?.polls ?? 0, failed = Object.values(status?.failures ?? {}).reduce((sum, count) => sum + count, 0), share = polls ? Math.max(0, 1 - failed / polls) : 0;
  const word = !read && !failed ? "readsFirst" : !online ? "readsNot" : share > 0.99 ? "readsWell" : share > 0.9 ? "readsGaps" : "readsBadly";
  setText("probe-word", t(word));
  $("probe").dataset.word = word;
  $("probe-bar").firstElementChild.style.width = read ? `${100 * share}%` : 0;
  const drift = status?.clock_drift_s;
  const rows = [
    ["polls", polls ? number(polls) : null],
    ["answered", polls && read ? `${number(100 * share, share < 1 && share > 0.99 ? 2 : 0)}\u202f%` : null],
    ["inARow", status?.consecutive_failures || null],
    ["failures", Object.entries(status?.failures ?? {}).map(([kind, count]) => `${failure(kind)} ${number(count)}`).join(", ") || null],
    ["rejected", status?.rejected ? number(status.rejected) : null],
    ["duration", status?.poll_duration_ms == null ? null : `${number(status.poll_duration_ms / 1000, 1)}\u202fs`],
    ["drift", drift == null ? null : Math.round(drift) === 0 ? t("exact") : t(drift > 0 ? "ahead" : "behind", { s: number(Math.abs(drift)) })],
  ].filter(([, value]) => value != null);
  replaceIfNew($("probe-list"), rows.map(([key, value]) => element("div", {}, element("dt", {}, t(key)), element("dd", {}, String(value)))));
}

function renderSubMeters(subMeters) {
  $("sub-meters").hidden = !subMeters.length;
  replaceIfNew($("sub-meters"), subMeters.map((each) => element("section", { class: "card" }, element("h2", {}, t(each.medium), element("small", {}, ` ${each.serial}`)),
    element("dl", { class: "rows" }, ...each.values.slice(0, 8).map(({ name, value, unit }) => element("div", {}, element("dt", {}, name), element("dd", {}, quantity(value, unit))))),
    each.time ? element("p", { class: "note" }, `${t("readAt")} ${when(each.time)}`) : null)));
}

const quantity = (value, unit, digits) => (typeof value === "number" ? `${number(value, digits ?? Math.min(3, String(value).split(".")[1]?.length ?? 0))}${unit ? `\u202f${unit}` : ""}` : value ?? "–");

// Every value

function renderValues(meter) {
  const groups = { energy: [], power: [], phases: new Map(), other: [] };
  for (const [key, value] of Object.entries(meter.state ?? {})) {
    if (key === "time") continue;
    const known = state.names.fields[key] ?? { name: key, unit: null, precision: null }, phase = key.match(/^(.*)_l([123])$/);
    if (phase) {
      const row = groups.phases.get(phase[1]) ?? { name: known.name.replace(/ L[123]$/, ""), unit: known.unit, cells: ["", "", ""] };
      row.cells[phase[2] - 1] = quantity(value, null, digitsOf(known));
      groups.phases.set(phase[1], row);
    } else (groups[["kWh", "kvarh", "kVAh"].includes(known.unit) ? "energy" : ["W", "var", "VA", "Hz"].includes(known.unit) ? "power" : "other"]).push([known.name, quantity(value, known.unit, digitsOf(known))]);
  }
  const card = (title, made) => element("section", { class: "card" }, element("h2", {}, title), made);
  const about = meter.info ?? {};
  const facts = ["manufacturer", "model", "firmware", "hardware"].map((key) => [t(key), about[key]]).concat([[t("serial"), about.utility_serial], [t("makerSerial"), about.manufacturer_serial], [t("readAt"), meter.state && moment(new Date(meter.state.time), { dateStyle: "medium", timeStyle: "medium" })]]).filter(([, value]) => value);
  const columns = [1, 2, 3].filter((phase) => [...groups.phases.values()].some((row) => row.cells[phase - 1] !== ""));
  replaceIfNew($("view-values"), [
    ...["energy", "power"].map((key) => [key, groups[key]]).filter(([, rows]) => rows.length).map(([key, rows]) => card(t(`group_${key}`), table([t("name"), t("value")], rows))),
    ...(groups.phases.size ? [card(t("group_phases"), table([t("name"), ...columns.map((phase) => `L${phase}`), ""], [...groups.phases.values()].map((row) => [row.name, ...columns.map((phase) => row.cells[phase - 1]), row.unit ?? ""]), "wide"))] : []),
    ...(groups.other.length ? [card(t("group_other"), table([t("name"), t("value")], groups.other))] : []),
    ...(facts.length ? [card(t("meter"), table([t("name"), t("value")], facts, "facts"))] : []),
    ...meter.sub_meters.map((each) => card(`${t(each.medium)} ${each.serial}`, table([t("name"), t("value")], each.values.map(({ name, value, unit }) => [name, quantity(value, unit)])))),
  ]);
}

const digitsOf = (known) => known.precision ?? undefined;

function table(head, rows, kind) {
  return element("table", { class: kind }, element("thead", {}, element("tr", {}, ...head.map((text) => element(text ? "th" : "td", text ? { scope: "col" } : {}, text)))),
    element("tbody", {}, ...rows.map(([first, ...rest]) => element("tr", {}, element("th", { scope: "row" }, first), ...rest.map((cell) => element("td", {}, cell ?? ""))))));
}

// Words

async function translate() {
  speak(state.language);
  document.documentElement.lang = state.language;
  $("language").value = state.language;
  for (const each of document.querySelectorAll("[data-text]")) each.textContent = t(each.dataset.text);
  for (const id of ["earlier", "later"]) $(id).setAttribute("aria-label", t(id));
  $("meters").setAttribute("aria-label", t("meters"));
  $("views").setAttribute("aria-label", t("views"));
  const answer = await fetch(`api/names?lang=${state.language}`);
  if (answer.ok) state.names = await answer.json();
}

async function begin() {
  document.querySelector(`[name="range"][value="${state.range}"]`).checked = true;
  await translate().catch(() => {});
  listen();
  render();
  drawChart();
}

$("language").addEventListener("change", (event) => { state.language = event.target.value; keep("nesgw.language", state.language); begin(); });
$("ranges").addEventListener("change", (event) => choose(event.target.value));
$("earlier").addEventListener("click", () => { state.back++; loadBars(); drawChart(); });
$("later").addEventListener("click", () => { state.back = Math.max(0, state.back - 1); loadBars(); drawChart(); });
let shownMeter = route().name;
addEventListener("hashchange", () => { const { name } = route(); if (name !== shownMeter) { shownMeter = name; listen(); if (state.range in DAYS) loadBars(); } render(); drawChart(); $("main").focus({ preventScroll: true }); });
setInterval(() => { if (!document.hidden) { renderPulse(); if (!(state.range in DAYS)) drawCurve(); } }, 1000);
begin();
