'use strict';
// From a handler's name to its function, in the reference's order of files and forms.

const fs = require('fs');
const path = require('path');
const compiled = require('./compiled.js');
const errors = require('./errors.js');

const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');
const LAYER_MODULES = '/opt/nodejs';
// Where the SDK is mounted: ECMAScript imports look in the `node_modules` of every parent folder, and this one
// is a parent of all code.
const SDK_MODULES = '/node_modules';

exports.load = async (taskRoot, name) => {
  if (name.includes('..')) {
    throw new errors.MalformedHandlerName(
      `'${name}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`,
    );
  }
  const base = path.basename(name);
  const folder = name.substring(0, name.indexOf(base));
  const parts = /^([^.]*)\.(.*)$/.exec(base);
  if (parts === null) throw new errors.MalformedHandlerName('Bad handler');

  letLayersComeBeforeTheSdk();
  defineGlobals();
  const app = await loadModule(taskRoot, folder, parts[1]);
  const handler = parts[2].split('.').reduce((object, key) => object && object[key], app);
  if (!handler) throw new errors.HandlerNotFound(`${name} is undefined or not exported`);
  if (typeof handler !== 'function') throw new errors.HandlerNotFound(`${name} is not a function`);
  if (handler[STREAMING] && handler[STREAMING] !== 'response') {
    throw new errors.MalformedStreamingHandler('Only response streaming is supported.');
  }
  return handler;
};

async function loadModule(taskRoot, folder, module) {
  try {
    return await find(taskRoot, folder, module);
  } catch (error) {
    if (error instanceof SyntaxError) throw new errors.UserCodeSyntaxError(error);
    if (error?.code === 'MODULE_NOT_FOUND') throw new errors.ImportModuleError(error);
    throw error;
  }
}

exports.find = find;

async function find(taskRoot, folder, module) {
  const file = path.resolve(taskRoot, folder, module);
  if (fs.existsSync(file)) return require(file);
  const js = file + '.js';
  if (fs.existsSync(js)) return isModule(path.dirname(js)) ? importFile(js, taskRoot) : require(js);
  if (fs.existsSync(file + '.mjs')) return importFile(file + '.mjs', taskRoot);
  if (fs.existsSync(file + '.cjs')) return require(file + '.cjs');
  return require(require.resolve(module, { paths: [taskRoot, folder] }));
}

// Whether the nearest package.json calls its `.js` files ECMAScript modules.
function isModule(folder) {
  if (folder.endsWith('/node_modules')) return false;
  const manifest = path.join(folder, 'package.json');
  if (fs.existsSync(manifest)) {
    try {
      return JSON.parse(fs.readFileSync(manifest, 'utf8'))?.type === 'module';
    } catch (error) {
      console.warn(
        `${manifest} cannot be read, it will be ignored for ES module detection purposes.`,
        error,
      );
      return false;
    }
  }
  return folder === '/' ? false : isModule(path.dirname(folder));
}

function importFile(file, taskRoot) {
  compiled.beforeModule(file, taskRoot);
  if (fs.existsSync(LAYER_MODULES)) letImportsSeeLayers();
  return import(require('url').pathToFileURL(file).href);
}

// `require` would find the SDK, which stands in the root folder, before it looks into NODE_PATH, where the
// layers are. The reference has the SDK at the end.
function letLayersComeBeforeTheSdk() {
  const Module = require('module');
  const lookup = Module._resolveLookupPaths;
  Module._resolveLookupPaths = function (...args) {
    const paths = lookup.apply(this, args);
    if (!paths || !paths.includes(SDK_MODULES)) return paths;
    return [...paths.filter((entry) => entry !== SDK_MODULES), SDK_MODULES];
  };
}

// ECMAScript imports ignore NODE_PATH; the reference's runtime makes them heed it.
function letImportsSeeLayers() {
  const { register, registerHooks } = require('module');
  if (registerHooks) {
    const { layerParents, fromSdk } = require('./layers.js');
    registerHooks({
      resolve(specifier, context, next) {
        let found;
        let missing;
        try {
          found = next(specifier, context);
        } catch (error) {
          if (error?.code !== 'ERR_MODULE_NOT_FOUND') throw error;
          missing = error;
        }
        if (found && !fromSdk(found.url, context.parentURL)) return found;
        for (const parentURL of layerParents(specifier)) {
          try {
            const layered = next(specifier, { ...context, parentURL });
            if (!fromSdk(layered.url)) return layered;
          } catch {
            // The next layer may have it.
          }
        }
        if (found) return found;
        throw missing;
      },
    });
  } else if (register) {
    register(require('url').pathToFileURL(path.join(__dirname, 'hooks.mjs')));
  }
}

function defineGlobals() {
  const off = process.env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA;
  if (off === '1' || off === 'true') return;
  globalThis.awslambda = {
    streamifyResponse: (handler, options) => {
      handler[STREAMING] = 'response';
      if (typeof options?.highWaterMark === 'number') {
        handler[HIGH_WATER_MARK] = parseInt(options.highWaterMark, 10);
      }
      return handler;
    },
    get HttpResponseStream() {
      return require('./streaming.js').HttpResponseStream;
    },
  };
}
