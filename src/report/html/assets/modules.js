// A minimal CommonJS: Debian ships Vega as one UMD file a module, each of which asks for its siblings by require().
// The build wraps every such file in epskewModule(name, body), in an order in which each one's siblings are defined.
const epskewModules = Object.create(null);

function epskewRequire(name) {
  if (!(name in epskewModules)) throw new Error("module " + name + " is not part of this page");
  return epskewModules[name];
}

function epskewModule(name, body) {
  const module = { exports: {} };
  body(module, module.exports, epskewRequire);
  epskewModules[name] = module.exports;
}
