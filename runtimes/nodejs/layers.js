'use strict';
// Where an ECMAScript import may also look, for the two kinds of loader hook (loader.js, hooks.mjs).

const fs = require('fs');
const { pathToFileURL } = require('url');

const SDK_URL = 'file:///node_modules/';

// Files beside whose `node_modules` a bare import is tried again.
exports.layerParents = (specifier) => {
  if (/^(\.{0,2}\/|[a-z]+:|#)/.test(specifier)) return [];
  return (process.env.NODE_PATH || '')
    .split(':')
    .filter((folder) => folder.startsWith('/opt/') && folder.endsWith('/node_modules') && fs.existsSync(folder))
    .map((folder) => pathToFileURL(folder.slice(0, -'node_modules'.length) + 'index.mjs').href);
};

// Whether an import ended in the SDK that the node brings, seen from outside of it.
exports.fromSdk = (url, parentUrl = '') => url.startsWith(SDK_URL) && !parentUrl.startsWith(SDK_URL);
