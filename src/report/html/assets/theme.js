// Colours come from the style sheet, so that a plot follows light and dark with the rest of the page.
const epskewTheme = (function () {
  "use strict";

  const seriesCount = 6;
  const dashes = [[], [7, 3], [2, 3], [9, 3, 2, 3], [12, 4], [4, 4]];
  const shapes = ["circle", "square", "triangle-up", "diamond", "triangle-down", "cross"];

  function read() {
    const style = getComputedStyle(document.documentElement);
    const get = (name) => style.getPropertyValue(name).trim();
    return {
      text: get("--text"),
      muted: get("--muted"),
      rule: get("--rule"),
      paper: get("--paper"),
      bar: get("--bar"),
      hot: get("--hot"),
      heat: [get("--heat-low"), get("--heat-middle"), get("--heat-high")],
      heatDarkText: get("--heat-dark-text"),
      heatLightText: get("--heat-light-text"),
      font: getComputedStyle(document.body).fontFamily,
      series: Array.from({ length: seriesCount }, (unused, i) => get("--series-" + (i + 1))),
    };
  }

  // Beyond six series colours repeat; the dash and the shape move on with each lap, so no two look the same.
  const lap = (i) => Math.floor(i / seriesCount);
  const colour = (theme, i) => theme.series[i % seriesCount];
  const dash = (i) => dashes[(i + lap(i)) % dashes.length];
  const shape = (i) => shapes[(i + lap(i)) % shapes.length];

  function config(theme) {
    return {
      background: null,
      font: theme.font,
      axis: {
        labelColor: theme.muted, titleColor: theme.muted, gridColor: theme.rule, domainColor: theme.rule,
        tickColor: theme.rule, labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", labelPadding: 4,
        titlePadding: 8, tickSize: 4,
      },
      legend: { labelColor: theme.muted, titleColor: theme.muted, titleFontWeight: "normal", labelFontSize: 12 },
    };
  }

  return { read, colour, dash, shape, config };
})();
