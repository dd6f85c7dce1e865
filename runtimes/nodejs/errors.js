'use strict';
// Errors of the function's form, and the shapes in which errors are answered and logged.

class RuntimeError extends Error {}

// The reference's names; each carries its `Runtime.` name on the prototype, so that stacks begin with it.
for (const name of [
  'ImportModuleError',
  'HandlerNotFound',
  'MalformedHandlerName',
  'UserCodeSyntaxError',
  'MalformedStreamingHandler',
  'InvalidStreamingOperation',
  'CallbackHandlerDeprecated',
]) {
  const kind = class extends RuntimeError {};
  Object.defineProperty(kind, 'name', { value: name });
  kind.prototype.name = `Runtime.${name}`;
  exports[name] = kind;
}

class UnhandledPromiseRejection extends RuntimeError {
  constructor(reason, promise) {
    super(reason);
    this.reason = reason;
    this.promise = promise;
  }
}
UnhandledPromiseRejection.prototype.name = 'Runtime.UnhandledPromiseRejection';
exports.UnhandledPromiseRejection = UnhandledPromiseRejection;

// What the caller of the function gets.
exports.report = (error) => {
  try {
    if (require('util').types.isNativeError(error) || looksLikeError(error)) {
      return {
        errorType: printable(error.name),
        errorMessage: printable(error.message),
        trace: printable(error.stack).split('\n'),
      };
    }
    return { errorType: typeof error, errorMessage: error.toString(), trace: [] };
  } catch {
    return {
      errorType: 'handled',
      errorMessage:
        'callback called with Error argument, but there was a problem while retrieving one or more of its ' +
        'message, name, and stack',
    };
  }
};

// What the log gets, after the line's title.
exports.logged = (error) => {
  const whole = error instanceof Error ? error : new Error(error);
  try {
    return '\t' + JSON.stringify(whole, (_key, value) => (value instanceof Error ? withFields(value) : value));
  } catch {
    return '\t' + JSON.stringify(exports.report(whole));
  }
};

function looksLikeError(error) {
  return (
    error &&
    [error.name, error.message, error.stack].every((field) => typeof field === 'string' && field !== '')
  );
}

// DEL can't stand in an HTTP header; the reference escapes it everywhere.
function printable(text) {
  return text?.replace(/\x7F/g, '%7F');
}

function withFields(error) {
  const fields = { errorType: error.name, errorMessage: error.message, code: error.code, ...error };
  if (typeof error.stack === 'string') fields.stack = error.stack.split('\n');
  return fields;
}
