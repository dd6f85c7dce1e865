'use strict';
// Booting before the function is known: load what functions load, then wait to be told.
//
// The node writes one JSON object, `{"env": {...}, "cwd": "..."}`, and closes its end. Until then this process
// has seen nothing of any function, and afterwards it serves that one function only.

const HANDOVER = '_LAMBENT_HANDOVER_FD';
// What the client needs for its first call, and what nearly every handler loads.
const BOOTED = [
  'assert', 'buffer', 'crypto', 'events', 'fs', 'http', 'https', 'module', 'net', 'os', 'path', 'querystring',
  'stream', 'string_decoder', 'tls', 'url', 'util', 'zlib',
];

exports.isParked = () => process.env[HANDOVER] !== undefined;

// Resolves when this process knows its function. `serve` is for the rehearsal.
exports.wait = async (serve) => {
  const descriptor = Number(process.env[HANDOVER]);
  for (const name of BOOTED) require(name);
  for (const own of ['./errors.js', './loader.js', './layers.js', './log.js', './wire.js']) require(own);
  await import('./warm.mjs');
  await require('./rehearsal.js').rehearse(serve);
  // Blocks, without CPU, for as long as nobody needs this cell.
  const told = require('fs').readFileSync(descriptor, 'utf8');
  // The node gave this cell up.
  if (told === '') process.exit(0);
  require('fs').closeSync(descriptor);
  become(JSON.parse(told));
};

function become({ env, cwd }) {
  // Only what differs: a new time zone, even the same one again, makes the interpreter search all of them.
  for (const name of Object.keys(process.env)) if (!(name in env)) delete process.env[name];
  for (const [name, value] of Object.entries(env)) if (process.env[name] !== value) process.env[name] = value;
  process.chdir(cwd);
  // NODE_PATH was read when the interpreter started.
  require('module').Module._initPaths();
}
