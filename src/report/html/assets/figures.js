// Turns every figure's table into its plots: one view a facet value, selects for the columns that choose rows.
(function () {
  "use strict";

  const vega = Object.assign({}, epskewRequire("vega-parser"), epskewRequire("vega-view"),
    epskewRequire("vega-interpreter"));
  Object.assign(epskewRequire("vega-dataflow").transforms, epskewRequire("vega-transforms"),
    epskewRequire("vega-view-transforms"), epskewRequire("vega-encode"));
  const mostFacets = 8;  // more rounds than this are chosen from a list instead

  function element(name, attributes, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }

  function cellValue(cell) {
    if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
    return cell.classList.contains("none") ? null : cell.textContent;
  }

  function readTable(table) {
    const columns = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
    const rows = [...table.tBodies[0].rows].map((tr) => {
      const cells = [...tr.cells];
      const row = Object.fromEntries(columns.map((name, i) => [name, cellValue(cells[i])]));
      row.hover = columns.map((name, i) => name + ": " + cells[i].textContent).join(", ");
      row.texts = Object.fromEntries(columns.map((name, i) => [name, cells[i].textContent]));
      return row;
    });
    return { columns, rows };
  }

  // Column names become role names, which are safe as Vega fields.
  function withRoles(row, options) {
    const out = { hover: row.hover, series: "" };
    for (const [role, column] of Object.entries(options.roles)) if (column in row) out[role] = row[column];
    for (const name of (options.curves || []).concat(options.cells || [])) out[name] = row[name];
    if (options.roles.value) out.label = row.texts[options.roles.value] + (options.unit || "");
    return out;
  }

  const distinct = (values) => [...new Set(values)];
  // Results in the order in which they were given.
  const ordered = (values, options) => distinct([...(options.results || []).filter((name) => values.includes(name)),
    ...values]);

  // The choice that shows most.
  function richest(column, rows, options) {
    const drawn = options.roles.value ?? options.roles.y ?? options.roles.p50 ?? column;
    const count = new Map(rows.map((row) => [String(row[column]), 0]));
    for (const row of rows.filter((each) => each[drawn] !== null)) count.set(String(row[column]), count.get(String(row[column])) + 1);
    const most = Math.max(...count.values());
    return [...count].find((entry) => entry[1] === most)[0];
  }

  function selectsOf(options, rows) {
    const columns = (options.select || []).slice();
    const facet = options.roles.facet;
    if (facet && distinct(rows.map((row) => row[facet])).length > mostFacets) columns.push(facet);
    return columns.filter((column) => distinct(rows.map((row) => row[column])).length > 1);
  }

  function buildSelects(figure, columns, rows, options, onChange) {
    const bar = element("div", { class: "selects" });
    for (const column of columns) {
      const select = element("select", {});
      for (const value of ordered(rows.map((row) => row[column]), options)) {
        select.append(element("option", {}, String(value)));
      }
      select.value = (options.initial || {})[column] ?? richest(column, rows, options);
      select.addEventListener("change", onChange);
      select.dataset.column = column;
      bar.append(element("label", {}, column + " ", select));
    }
    if (columns.length) figure.plots.before(bar);
    return bar;
  }

  function swatch(theme, index, kind) {
    const ns = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(ns, "svg");
    svg.setAttribute("width", "28");
    svg.setAttribute("height", "10");
    svg.setAttribute("aria-hidden", "true");
    const mark = document.createElementNS(ns, kind === "bars" ? "rect" : "line");
    const set = (pairs) => Object.entries(pairs).forEach(([key, value]) => mark.setAttribute(key, value));
    if (kind === "bars") {
      set({ x: 8, y: 0, width: 12, height: 10, fill: epskewTheme.colour(theme, index), "fill-opacity": 0.55 });
    } else {
      set({ x1: 0, x2: 28, y1: 5, y2: 5, stroke: epskewTheme.colour(theme, index), "stroke-width": 2.5,
        "stroke-dasharray": epskewTheme.dash(kind === "sorted" ? index - 1 : index).join(" ") });
    }
    svg.append(mark);
    return svg;
  }

  function legend(theme, names, kind, firstColour) {
    const list = element("ul", { class: "legend" });
    names.forEach((name, i) => list.append(element("li", {}, swatch(theme, i + firstColour, kind), " " + name)));
    return list;
  }

  function show(figure, container, rows, all, theme) {
    const spec = epskewSpecs[figure.options.kind](rows, all, figure.options, theme, figure.options.cells);
    spec.width = Math.max(160, container.clientWidth);
    spec.description = container.dataset.label;
    const view = new vega.View(vega.parse(spec, null, { ast: true }),
      { expr: vega.expressionInterpreter, renderer: "svg", container, hover: false });
    // The facts are in the table; to a screen reader the drawing is one image with a name.
    container.setAttribute("role", "img");
    container.removeAttribute("aria-roledescription");
    container.setAttribute("aria-label", container.dataset.label);
    figure.views.push({ view, container });
    return view.runAsync();
  }

  function chosen(figure) {
    return figure.rows.filter((row) => [...figure.bar.querySelectorAll("select")]
      .every((select) => String(row[select.dataset.column]) === select.value));
  }

  function render(figure) {
    const theme = epskewTheme.read();
    const options = figure.options;
    for (const { view } of figure.views) view.finalize();
    figure.views = [];
    figure.plots.replaceChildren();
    figure.legend.replaceChildren();
    const rows = chosen(figure);
    const facet = options.roles.facet;
    const all = rows.map((row) => withRoles(row, options));
    options.series = ordered(all.map((row) => row.series), options);
    const series = options.series;
    if (options.curves && options.curves.length) figure.legend.append(legend(theme, options.curves, "sorted", 1));
    else if (series.length > 1) figure.legend.append(legend(theme, series, options.kind, 0));
    const facets = facet ? distinct(rows.map((row) => row[facet])) : [null];
    figure.plots.classList.toggle("single", facets.length === 1);
    figure.plots.classList.toggle("wide", Boolean(options.wide));
    const pending = facets.map((value) => {
      const container = element("div", { class: "view" });
      container.dataset.label = figure.title + (value === null ? "" : ", " + value);
      figure.plots.append(element("div", { class: "facet" },
        ...(value === null ? [] : [element("h4", {}, String(value))]), container));
      const part = facet ? rows.filter((row) => row[facet] === value) : rows;
      return () => show(figure, container, part.map((row) => withRoles(row, options)),
        options.ownScale ? part.map((row) => withRoles(row, options)) : all, theme);
    });
    return Promise.all(pending.map((start) => start()));
  }

  function start(node) {
    const table = readTable(node.querySelector("table"));
    const options = JSON.parse(node.dataset.plot);
    if (options.kind === "heat") options.cells = table.columns.slice(table.columns.indexOf(options.roles.row) + 1);
    const figure = { options, rows: table.rows, views: [], title: node.querySelector("h3").textContent,
      plots: node.querySelector(".plots"), legend: node.querySelector(".legend-slot") };
    figure.bar = buildSelects(figure, selectsOf(options, table.rows), table.rows, options, () => render(figure));
    return figure;
  }

  function watch(figures) {
    const resize = () => {
      for (const { view, container } of figures.flatMap((figure) => figure.views)) {
        const width = Math.max(160, container.clientWidth);
        if (view.width() !== width) view.width(width).runAsync();
      }
    };
    let timer = 0;
    addEventListener("resize", () => { clearTimeout(timer); timer = setTimeout(resize, 120); });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => figures.forEach(render));
  }

  const figures = [...document.querySelectorAll("figure[data-plot]")].map(start);
  watch(figures);
  Promise.all(figures.map(render)).then(() => { document.documentElement.dataset.plots = "drawn"; });
})();
