// Lets ECMAScript imports see layers, for versions of Node.js whose hooks run on a thread of their own.
import layers from './layers.js';

export async function resolve(specifier, context, next) {
  let found;
  let missing;
  try {
    found = await next(specifier, context);
  } catch (error) {
    if (error?.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    missing = error;
  }
  if (found && !layers.fromSdk(found.url, context.parentURL)) return found;
  for (const parentURL of layers.layerParents(specifier)) {
    try {
      const layered = await next(specifier, { ...context, parentURL });
      if (!layers.fromSdk(layered.url)) return layered;
    } catch {
      // The next layer may have it.
    }
  }
  if (found) return found;
  throw missing;
}
