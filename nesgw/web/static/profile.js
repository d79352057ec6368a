// Days out of the meter's own load profile: asked for one by one, for the meter reads them between its polls.

const known = new Map(); // days that are over, by meter and day

export function startOfDay(time) {
  const day = new Date(time);
  day.setHours(0, 0, 0, 0);
  return day;
}

export function addDays(day, days) {
  const other = new Date(day);
  other.setDate(other.getDate() + days);
  return other;
}

async function ask(meter, from, to, signal) {
  const times = new URLSearchParams({ from: from.toISOString(), to: to.toISOString() });
  const answer = await fetch(`api/meters/${encodeURIComponent(meter)}/history?${times}`, { signal });
  if (!answer.ok) throw new Error((await answer.text()).trim());
  return answer.json();
}

// The intervals of one local day: [{begin, end, up, down, status}], energy in kWh.
export async function day(meter, begin, signal) {
  const key = `${meter} ${+begin}`, end = addDays(begin, 1), over = end < Date.now() - 7200e3;
  if (known.has(key)) return known.get(key);
  const rows = await ask(meter, begin, over ? end : new Date(Math.min(+end, Date.now())), signal);
  const long = rows.length > 1 ? new Date(rows[1].time) - new Date(rows[0].time) : 3600e3;
  const found = rows.map((row) => ({
    begin: new Date(row.time) - long, end: +new Date(row.time), status: row.status,
    up: Math.max(0, row.in_the_interval.energy_import ?? 0), down: Math.max(0, row.in_the_interval.energy_export ?? 0),
    gap: row.in_the_interval.energy_import == null && row.in_the_interval.energy_export == null,
  }));
  if (over) known.set(key, found);
  return found;
}

// What the registers were at local midnight, if the load profile says it: {energy_import, energy_export}.
export async function atMidnight(meter, signal) {
  const begin = startOfDay(Date.now()), hour = new Date(+begin + 3600e3);
  if (Date.now() < +hour + 7200e3) return null; // still changing: not worth the meter's time
  const [row] = await ask(meter, begin, hour, signal);
  const start = (key) => (row?.[key] == null || row.in_the_interval[key] == null ? null : row[key] - row.in_the_interval[key]);
  return row ? { energy_import: start("energy_import"), energy_export: start("energy_export") } : null;
}

export const total = (intervals) => ({ up: intervals.reduce((sum, each) => sum + each.up, 0), down: intervals.reduce((sum, each) => sum + each.down, 0) });
