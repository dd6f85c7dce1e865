'use strict';
// Compiled code that outlives an environment: V8 need not parse and compile a large package again at every start.
//
// The node says in a variable what to do. `collect`: the first environment of a function keeps what V8 made of the
// package and sends it when the first call is answered. A path: later environments of that function load it from there.
//
// CommonJS files are compiled here, and kept with all functions that the first call compiled. ECMAScript modules only
// Node.js itself can compile from a cache, from version 22.10 on, in files of its own; that is turned on for handlers
// that are modules. Older versions, and files of a few lines, compile as ever.
//
// V8 takes compiled code for the source that it is given when their lengths agree: the digest of each source is
// compared here, and a checksum by Node.js, so that code which rewrites sources while they load gets what it wrote.

const VARIABLE = '_LAMBENT_CODE_CACHE';
const COLLECT = 'collect';
// Beside the file that the node names: what Node.js keeps of modules.
const MODULES = 'modules';
// Where Node.js writes them, for moments only: nothing of it is there while code of the function runs.
const SCRATCH = '/tmp/.lambent-modules';
// A function that has its own way with Node.js's cache keeps it.
const OWN_WAYS = ['NODE_COMPILE_CACHE', 'NODE_DISABLE_COMPILE_CACHE'];
// What is less is compiled sooner than it is looked up.
const SOURCE_MIN = 1024;
// Packages whose sources have less are not worth a file.
const WORTH_BYTES = 64 * 1024;
// The node takes no more.
const SENT_MAX = 24 * 1024 * 1024;
const HEAD_BYTES = 4;

let collected = null; // [{ name, digest, script, length }] while this environment collects
let moduleCache = null; // where modules' code is, or COLLECT, until a module is the handler
let written = null; // the folder that Node.js writes modules' code to, while this environment collects

exports.begin = () => {
  const told = process.env[VARIABLE];
  delete process.env[VARIABLE];
  if (!told) return;
  moduleCache = told === COLLECT ? COLLECT : told.slice(0, told.lastIndexOf('/') + 1) + MODULES;
  const known = told === COLLECT ? null : read(told);
  if (told === COLLECT) collected = [];
  else if (known === null) return;
  hook(known);
};

// Before a handler that is a module is imported.
exports.beforeModule = (file, taskRoot) => {
  const from = moduleCache;
  moduleCache = null;
  if (from === null || OWN_WAYS.some((name) => name in process.env)) return;
  const fs = require('fs');
  const { enableCompileCache, flushCompileCache } = require('module');
  if (flushCompileCache === undefined) return;
  if (from !== COLLECT) {
    if (fs.existsSync(from)) enableCompileCache(from);
    return;
  }
  // A small module alone is compiled in less time than its code is looked up in.
  const isWorth = fs.statSync(file).size >= WORTH_BYTES || fs.existsSync(`${taskRoot}/node_modules`);
  if (!isWorth || fs.existsSync(SCRATCH)) return;
  try {
    enableCompileCache(SCRATCH);
    written = `${SCRATCH}/${fs.readdirSync(SCRATCH)[0]}`;
  } catch {
    // No place to write to.
  }
  fs.rmSync(SCRATCH, { recursive: true, force: true });
};

// Gives what is to be sent, once; null when nothing is collected or worth it.
exports.take = () => {
  if (collected === null) return null;
  const scripts = collected;
  collected = null;
  const isWorth = written !== null || scripts.reduce((sum, { length }) => sum + length, 0) >= WORTH_BYTES;
  return isWorth ? () => whole(scripts) : null;
};

// The code of scripts behind its length, then each file of modules behind its name and both their lengths.
function whole(scripts) {
  const code = scripts.length === 0 ? Buffer.alloc(0) : packed(scripts);
  const parts = [number(code.length), code];
  for (const [name, bytes] of writtenModules()) {
    parts.push(number(name.length), Buffer.from(name), number(bytes.length), bytes);
  }
  const all = Buffer.concat(parts);
  if (all.length > SENT_MAX) throw new Error('more compiled code than the node takes');
  return all;
}

function writtenModules() {
  if (written === null) return [];
  const fs = require('fs');
  const tag = written.slice(SCRATCH.length + 1);
  fs.mkdirSync(written, { recursive: true });
  try {
    require('module').flushCompileCache();
    return fs.readdirSync(written).map((name) => [`${tag}/${name}`, fs.readFileSync(`${written}/${name}`)]);
  } finally {
    fs.rmSync(SCRATCH, { recursive: true, force: true });
  }
}

function number(value) {
  const bytes = Buffer.alloc(HEAD_BYTES);
  bytes.writeUInt32BE(value);
  return bytes;
}

function read(path) {
  try {
    const bytes = require('fs').readFileSync(path);
    const end = HEAD_BYTES + bytes.readUInt32BE(0);
    const files = JSON.parse(bytes.toString('utf8', HEAD_BYTES, end));
    const known = new Map();
    for (const [name, digest, start, length] of files) {
      known.set(name, { digest, code: bytes.subarray(end + start, end + start + length) });
    }
    return known;
  } catch {
    return null;
  }
}

function packed(scripts) {
  const files = [];
  const parts = [];
  let at = 0;
  for (const { name, digest, script } of scripts) {
    const code = script.createCachedData();
    files.push([name, digest, at, code.length]);
    parts.push(code);
    at += code.length;
  }
  const list = Buffer.from(JSON.stringify(files));
  return Buffer.concat([number(list.length), list, ...parts]);
}

function hook(known) {
  const Module = require('module');
  const vm = require('vm');
  const path = require('path');
  const { createHash } = require('crypto');
  const imports = vm.constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER;
  const roots = ['/opt/', path.join(process.env.LAMBDA_TASK_ROOT || process.cwd(), '/')];
  const [head, tail] = Module.wrapper;
  const compile = Module.prototype._compile;

  Module.prototype._compile = function (source, name, format, ...rest) {
    const usual = () => compile.call(this, source, name, format, ...rest);
    const isCommon = format === undefined || format === 'commonjs';
    if (!isCommon || typeof source !== 'string' || source.length < SOURCE_MIN) return usual();
    if (!roots.some((root) => name.startsWith(root))) return usual();
    // Without a loader for them, imports inside of a script fail.
    if (imports === undefined && source.includes('import')) return usual();
    const digest = createHash('sha256').update(source).digest('base64');
    const found = known?.get(name);
    const cachedData = found?.digest === digest ? found.code : undefined;
    if (cachedData === undefined && collected === null) return usual();
    let script;
    try {
      script = new vm.Script(head + source + tail, {
        filename: name,
        columnOffset: -head.length,
        cachedData,
        importModuleDynamically: imports,
      });
    } catch {
      // Node.js has more ways with a source, and says better what is wrong with it.
      return usual();
    }
    if (collected !== null) collected.push({ name, digest, script, length: source.length });
    const body = script.runInThisContext();
    return body.call(this.exports, this.exports, requireOf(Module, this), this, name, path.dirname(name));
  };
}

// As Node.js makes it for every module.
function requireOf(Module, module) {
  const require = (id) => module.require(id);
  require.resolve = (request, options) => Module._resolveFilename(request, module, false, options);
  require.resolve.paths = (request) => Module._resolveLookupPaths(request, module);
  require.main = process.mainModule;
  require.extensions = Module._extensions;
  require.cache = Module._cache;
  return require;
}
