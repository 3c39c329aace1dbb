// One function a kind of plot: rows with plain role names in, a Vega specification out. Nothing is computed here
// but where a mark goes; every number was computed before and stands in the figure's table.
const epskewSpecs = (function () {
  "use strict";

  const flat = (values) => values.filter((v) => typeof v === "number" && Number.isFinite(v));
  const distinct = (values) => [...new Set(values.filter((v) => v !== null && v !== undefined))];
  const highest = (rows, ...roles) => Math.max(0, ...flat(rows.flatMap((row) => roles.map((role) => row[role]))));

  function base(theme, height) {
    return {
      $schema: "https://vega.github.io/schema/vega/v5.json",
      autosize: { type: "fit", contains: "padding" },
      padding: 4,
      height,
      config: epskewTheme.config(theme),
    };
  }

  function axis(orient, scale, title, extra) {
    return Object.assign({ orient, scale, title, aria: false, labelOverlap: true, tickCount: 5 }, extra);
  }

  const seriesScale = (name, series, range) => ({ name, type: "ordinal", domain: series, range });

  function ruleMarks(theme, column, orientation) {
    const across = orientation === "horizontal";
    return {
      type: "rule", aria: false, from: { data: column },
      encode: {
        update: {
          x: across ? { value: 0 } : { scale: "x", field: "at" },
          x2: across ? { signal: "width" } : { scale: "x", field: "at" },
          y: across ? { scale: "y", field: "at" } : { value: 0 },
          y2: across ? { scale: "y", field: "at" } : { signal: "height" },
          stroke: across ? { scale: "colour", field: "series" } : { value: theme.muted },
          strokeDash: { value: across ? [2, 4] : [6, 4] },
          strokeWidth: { value: 1.25 },
        },
      },
    };
  }

  function ruleLabels(theme, column, orientation, text) {
    const across = orientation === "horizontal";
    const line = "scale('y', datum.at)";
    return {
      type: "text", aria: false, from: { data: column },
      encode: {
        update: {
          x: across ? { signal: "width" } : { scale: "x", field: "at", offset: 4 },
          // Below its line, where lines of skewed rounds do not pass; above it where it would fall on the axis.
          y: across ? { signal: `${line} + (${line} > height - 18 ? -16 : 4)` } : { value: 8 },
          baseline: { value: across ? "top" : "alphabetic" },
          align: { value: across ? "right" : "left" },
          text: [{ test: "datum.isNamed", value: text }, { value: "" }],
          fill: { value: theme.muted },
          fontSize: { value: 11 },
        },
      },
    };
  }

  // One rule for every distinct value: of any series, or of each series apart.
  function rulesOf(rows, role, apart) {
    const seen = new Map();
    for (const row of rows) {
      const at = row[role];
      if (typeof at === "number") seen.set(apart ? row.series + " " + at : at, { series: row.series, at });
    }
    // Upright lines of several results lie beside each other, where only the last has room for its name.
    const rules = [...seen.values()];
    const last = Math.max(...rules.map((rule) => rule.at));
    return rules.map((rule) => ({ ...rule, isNamed: apart || rule.at === last }));
  }

  function lineMarks(options) {
    const stroke = { stroke: { scale: "colour", field: "series" }, strokeDash: { scale: "dash", field: "series" } };
    const place = { x: { scale: "x", field: "x" }, y: { scale: "y", field: "y" } };
    const marks = [
      { type: "area", aria: false, from: { data: "banded" }, encode: { update: {
        x: place.x, y: { scale: "y", field: "lo" }, y2: { scale: "y", field: "hi" },
        fill: { scale: "colour", field: "series" }, fillOpacity: { value: 0.16 },
        interpolate: { value: "linear" } } } },
    ];
    if (options.join !== false) {
      marks.push({ type: "line", aria: false, from: { data: "faceted" },
        encode: { update: { ...place, ...stroke, strokeWidth: { value: 2 } } } });
    }
    if (options.points !== false) {
      marks.push({ type: "symbol", aria: false, from: { data: "faceted" }, encode: { update: {
        ...place, fill: { scale: "colour", field: "series" }, shape: { scale: "shape", field: "series" },
        size: { value: 55 }, tooltip: { field: "hover" } } } });
    }
    return marks;
  }

  // Lines with an optional band lo..hi, an optional horizontal rule a series and an optional vertical rule.
  function lines(rows, all, options, theme) {
    const series = options.series;
    const known = rows.filter((row) => row.x !== null && row.y !== null).sort((a, b) => a.x - b.x);
    const xs = flat(all.map((row) => row.x).concat(all.map((row) => row.vline)));
    const spread = Math.max(...xs) - Math.min(...xs) || 1;
    const xDomain = options.xLog ? [Math.min(...xs) / 1.05, Math.max(...xs) * 1.05]
      : [Math.min(...xs) - 0.03 * spread, Math.max(...xs) + 0.03 * spread];
    const perSeries = {
      type: "group", aria: false,
      from: { facet: { name: "faceted", data: "rows", groupby: "series" } },
      data: [{ name: "banded", source: "faceted",
        transform: [{ type: "filter", expr: "datum.lo !== null && datum.hi !== null && datum.hasBand" }] }],
      marks: lineMarks(options),
    };
    return Object.assign(base(theme, options.height || 260), {
      data: [
        { name: "rows", values: known.map((row) => ({ ...row, hasBand: "lo" in row && "hi" in row })) },
        { name: "hline", values: rulesOf(rows, "hline", true) },
        { name: "vline", values: rulesOf(rows, "vline", false) },
      ],
      scales: [
        { name: "x", type: options.xLog ? "log" : "linear", domain: xDomain, range: "width", zero: false, nice: false },
        { name: "y", type: "linear", domain: [0, options.yMax || highest(all, "y", "hi", "hline")], nice: true,
          range: "height" },
        seriesScale("colour", series, series.map((unused, i) => epskewTheme.colour(theme, i))),
        seriesScale("dash", series, series.map((unused, i) => epskewTheme.dash(i))),
        seriesScale("shape", series, series.map((unused, i) => epskewTheme.shape(i))),
      ],
      axes: [
        axis("bottom", "x", options.xTitle),
        axis("left", "y", options.yTitle, { grid: true, domain: false }),
      ],
      marks: [
        ruleMarks(theme, "vline", "vertical"), ruleLabels(theme, "vline", "vertical", options.vlineLabel),
        ruleMarks(theme, "hline", "horizontal"),
        ...(series.length === 1 ? [ruleLabels(theme, "hline", "horizontal", options.hlineLabel)] : []),
        perSeries,
      ],
    });
  }

  // The largest value or end of an interval, without intervals so wide that no bar could be seen beside them.
  function farthest(rows) {
    const value = highest(rows, "value");
    return Math.max(value, ...flat(rows.map((row) => row.hi)).filter((hi) => hi <= 3 * value));
  }

  // Horizontal bars, grouped by series inside a category, with an interval lo..hi and the value written out.
  function bars(rows, all, options, theme) {
    const series = options.series;
    const categories = distinct(rows.map((row) => row.category));
    const edge = 1.3 * farthest(all);
    const drawn = rows.filter((row) => row.value !== null).map((row) => ({ ...row, beyond: row.hi > edge,
      end: Math.min(row.hi ?? row.value, edge), labelled: row.hi > edge ? row.value : Math.max(row.hi || 0, row.value) }));
    const band = 20 * series.length + 14;
    const y = { scale: "y", field: "category" };
    const centre = { scale: "inner", field: "series", band: 0.5 };
    const inGroup = (mark) => ({ ...mark, aria: false, from: { data: "faceted" } });
    const rule = (from, to, top, bottom) => inGroup({ type: "rule", encode: { update: {
      x: { scale: "x", field: from }, x2: { scale: "x", field: to }, y: { ...centre, offset: top },
      y2: { ...centre, offset: bottom }, stroke: { value: theme.text }, strokeWidth: { value: 1.25 },
      opacity: { signal: "datum.lo === null ? 0 : 1" } } } });
    const label = (paint) => inGroup({ type: "text", encode: { update: {
      x: { scale: "x", field: "labelled", offset: 6 }, y: centre,
      baseline: { value: "middle" }, text: { field: "label" }, fontSize: { value: 12 }, ...paint } } });
    const cap = rule("end", "end", -4, 4);
    cap.encode.update.opacity = { signal: "datum.lo === null || datum.beyond ? 0 : 1" };
    const arrow = inGroup({ type: "symbol", encode: { update: {
      x: { scale: "x", field: "end" }, y: centre, shape: { value: "triangle-right" }, size: { value: 60 },
      fill: { value: theme.text }, opacity: { signal: "datum.beyond ? 1 : 0" } } } });
    const withInterval = rows.some((row) => "lo" in row);
    return Object.assign(base(theme, categories.length * band + 46), {
      data: [{ name: "rows", values: drawn },
        { name: "baseline", values: options.baseline === undefined ? [] : [{ at: options.baseline }] }],
      scales: [
        { name: "x", type: "linear", domain: [0, edge], range: "width", nice: false },
        { name: "y", type: "band", domain: categories, range: "height", paddingInner: 0.25, paddingOuter: 0.15 },
        seriesScale("colour", series, series.map((unused, i) => epskewTheme.colour(theme, i))),
      ],
      axes: [
        axis("bottom", "x", options.xTitle, { grid: true, domain: false }),
        axis("left", "y", null, { domain: false, ticks: false, labelColor: theme.text, labelLimit: 175 }),
      ],
      marks: [
        { type: "rule", aria: false, from: { data: "baseline" }, encode: { update: {
          x: { scale: "x", field: "at" }, y: { value: 0 }, y2: { signal: "height" },
          stroke: { value: theme.text }, strokeDash: { value: [3, 3] } } } },
        { type: "group", aria: false,
          from: { facet: { name: "faceted", data: "rows", groupby: "category" } },
          signals: [{ name: "height", update: "bandwidth('y')" }],
          scales: [{ name: "inner", type: "band", domain: series, range: "height", padding: 0.12 }],
          encode: { update: { y } },
          marks: [
            inGroup({ type: "rect", encode: { update: {
              x: { scale: "x", value: 0 }, x2: { scale: "x", field: "value" },
              y: { scale: "inner", field: "series" }, height: { scale: "inner", band: 1 },
              fill: { scale: "colour", field: "series" }, fillOpacity: { value: 0.55 }, cornerRadius: { value: 2 },
              tooltip: { field: "hover" } } } }),
            ...(withInterval ? [rule("lo", "end", 0, 0), rule("lo", "lo", -4, 4), cap, arrow] : []),
            label({ stroke: { value: theme.paper }, strokeWidth: { value: 4 } }),  // keeps rules out of the text
            label({ fill: { value: theme.text } }),
          ] },
      ],
    });
  }

  // Loads sorted from the largest as bars, and one line a curve over them.
  function sorted(rows, all, options, theme) {
    const count = Math.max(...rows.map((row) => row.x));
    const curves = options.curves || [];
    const long = curves.flatMap((name, index) => rows.filter((row) => row[name] !== null && row[name] !== undefined)
      .map((row) => ({ x: row.x, y: row[name], series: name, index })));
    const top = highest(all, "bar", "mean", ...curves);
    const bottom = Math.min(0, ...flat(all.flatMap((row) => curves.map((name) => row[name]))));  // a normal law may dip
    return Object.assign(base(theme, options.height || 220), {
      data: [
        { name: "rows", values: rows.filter((row) => row.bar !== null) },
        { name: "curves", values: long },
        { name: "mean", values: rows.length && typeof rows[0].mean === "number" ? [{ at: rows[0].mean }] : [] },
      ],
      scales: [
        { name: "x", type: "linear", domain: [0.5, count + 0.5], range: "width", zero: false, nice: false },
        { name: "y", type: "linear", domain: [bottom, top], nice: true, range: "height" },
        seriesScale("colour", curves, curves.map((unused, i) => epskewTheme.colour(theme, i + 1))),
        seriesScale("dash", curves, curves.map((unused, i) => epskewTheme.dash(i))),
      ],
      axes: [
        axis("bottom", "x", options.xTitle, { format: "d", tickMinStep: 1 }),
        axis("left", "y", options.yTitle, { grid: true, domain: false }),
      ],
      marks: [
        { type: "rect", aria: false, from: { data: "rows" }, encode: { update: {
          x: { scale: "x", signal: "datum.x - 0.4" }, x2: { scale: "x", signal: "datum.x + 0.4" },
          y: { scale: "y", field: "bar" }, y2: { scale: "y", value: 0 }, fill: { value: theme.bar },
          tooltip: { field: "hover" } } } },
        { type: "rule", aria: false, from: { data: "mean" }, encode: { update: {
          x: { value: 0 }, x2: { signal: "width" }, y: { scale: "y", field: "at" },
          stroke: { value: theme.muted }, strokeDash: { value: [2, 4] } } } },
        { type: "group", aria: false,
          from: { facet: { name: "faceted", data: "curves", groupby: "series" } },
          marks: [{ type: "line", aria: false, from: { data: "faceted" }, encode: { update: {
            x: { scale: "x", field: "x" }, y: { scale: "y", field: "y" },
            stroke: { scale: "colour", field: "series" }, strokeDash: { scale: "dash", field: "series" },
            strokeWidth: { signal: "datum.index < 3 ? 2 : 1.25" },
            strokeOpacity: { signal: "datum.index < 3 ? 1 : 0.7" } } } },
          ...(count <= 32 && curves.length === 1 ? [{ type: "symbol", aria: false, from: { data: "faceted" }, encode: {
            update: { x: { scale: "x", field: "x" }, y: { scale: "y", field: "y" }, size: { value: 28 },
              fill: { scale: "colour", field: "series" } } } }] : [])] },
      ],
    });
  }

  // Source by destination. `cells` are the destination columns, in order.
  function heat(rows, all, options, theme, cells) {
    const sources = rows.map((row) => String(row.row));
    const values = rows.flatMap((row) => cells.map((name) => ({
      source: String(row.row), destination: name, value: row[name],
      hover: `from ${row.row} to ${name}: ${row[name]} selections` })));
    const readable = cells.length <= 12;
    const top = Math.max(1, highest(all, ...cells));
    const gradient = { fill: "heat", orient: "bottom", direction: "horizontal", title: "selections", gradientLength: 160,
      aria: false };
    return Object.assign(base(theme, Math.min(420, 26 * sources.length + 70)), {
      data: [{ name: "cells", values }],
      scales: [
        { name: "x", type: "band", domain: cells, range: "width", padding: 0.04 },
        { name: "y", type: "band", domain: sources, range: "height", padding: 0.04 },
        { name: "heat", type: "linear", domain: [0, top / 2, top], range: theme.heat },
      ],
      legends: readable ? [] : [gradient],
      axes: [
        axis("top", "x", options.xTitle, { domain: false, ticks: false }),
        axis("left", "y", options.yTitle, { domain: false, ticks: false }),
      ],
      marks: [
        { type: "rect", aria: false, from: { data: "cells" }, encode: { update: {
          x: { scale: "x", field: "destination" }, width: { scale: "x", band: 1 },
          y: { scale: "y", field: "source" }, height: { scale: "y", band: 1 },
          fill: { scale: "heat", field: "value" }, tooltip: { field: "hover" } } } },
        ...(readable ? [{ type: "text", aria: false, interactive: false, from: { data: "cells" }, encode: { update: {
          x: { scale: "x", field: "destination", band: 0.5 }, y: { scale: "y", field: "source", band: 0.5 },
          align: { value: "center" }, baseline: { value: "middle" }, text: { field: "value" },
          fontSize: { signal: "bandwidth('x') < 28 ? 10 : 12" },
          fill: { signal: `datum.value > ${0.6 * top} ? '${theme.heatLightText}' : '${theme.heatDarkText}'` } } } }] : []),
      ],
    });
  }

  // One box a category: whiskers p10..p90, box p25..p75, a bar at p50. Rows with `hot` set stand out.
  function box(rows, all, options, theme) {
    const colour = { signal: `datum.hot === 'hot' ? '${theme.hot}' : '${theme.series[0]}'` };
    const mid = { scale: "x", field: "category", band: 0.5 };
    return Object.assign(base(theme, options.height || 220), {
      data: [{ name: "rows", values: rows.filter((row) => row.p50 !== null)
        .map((row) => ({ ...row, category: String(row.category) })) }],
      scales: [
        { name: "x", type: "band", domain: rows.map((row) => String(row.category)), range: "width", paddingInner: 0.3,
          paddingOuter: 0.2 },
        { name: "y", type: "linear", domain: [0, highest(all, "p50", "p90")], nice: true, range: "height" },
      ],
      axes: [
        axis("bottom", "x", options.xTitle, { domain: false, ticks: false }),
        axis("left", "y", options.yTitle, { grid: true, domain: false }),
      ],
      marks: [
        { type: "rule", aria: false, from: { data: "rows" }, encode: { update: {
          x: mid, y: { scale: "y", field: "p10" }, y2: { scale: "y", field: "p90" }, stroke: colour,
          opacity: { signal: "datum.p10 === null || datum.p90 === null ? 0 : 1" } } } },
        { type: "rect", aria: false, from: { data: "rows" }, encode: { update: {
          x: { scale: "x", field: "category" }, width: { scale: "x", band: 1 },
          y: { scale: "y", field: "p75" }, y2: { scale: "y", field: "p25" }, fill: colour,
          fillOpacity: { value: 0.6 }, stroke: colour, tooltip: { field: "hover" } } } },
        { type: "rect", aria: false, from: { data: "rows" }, encode: { update: {
          x: { scale: "x", field: "category" }, width: { scale: "x", band: 1 },
          yc: { scale: "y", field: "p50" }, height: { value: 2 }, fill: { value: theme.text } } } },
      ],
    });
  }

  return { lines, bars, sorted, heat, box };
})();
