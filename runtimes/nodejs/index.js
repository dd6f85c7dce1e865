'use strict';
// The Lambda Runtime API client for Node.js functions: loads the handler, then answers invocations until the
// process ends.
//
// Not here: HTTP (wire.js), finding the handler's file (loader.js), the console (log.js), response streaming
// (streaming.js, loaded by functions that use it).
//
// Invariant: while a handler runs, nothing of the client keeps the event loop alive. An empty loop is how the
// reference learns that a callback handler has finished.

const compiled = require('./compiled.js');
const parked = require('./parked.js');
const { Api } = require('./wire.js');
const errors = require('./errors.js');
const log = require('./log.js');

// Runtimes from this version on know no callbacks and don't wait for the event loop.
const WITHOUT_CALLBACKS = 24;
const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
// What the reference's runtime exits with.
const EXIT_UNHANDLED_REJECTION = 128;
const EXIT_UNCAUGHT_EXCEPTION = 129;

let api;
let version;
let handler;
let requestId; // of the invocation that runs or ran last; absent before the first
let exiting = false;
let whenLoopIsEmpty = () => {};

if (parked.isParked()) parked.wait(rehearse).then(main);
else main();

// One call as `serve` runs it, without its traces in this client's state.
async function rehearse(call, rehearsed, rehearsalApi) {
  const value = await rehearsed(JSON.parse(call.body), contextData(call.headers));
  return rehearsalApi.responseThenNext(call.headers['lambda-runtime-aws-request-id'], JSON.stringify(value));
}

async function main() {
  api = new Api(process.env.AWS_LAMBDA_RUNTIME_API);
  version = runtimeVersion();
  log.patchConsole();
  process.on('uncaughtException', (error) => fail('Uncaught Exception', error, EXIT_UNCAUGHT_EXCEPTION));
  process.on('unhandledRejection', (reason, promise) => {
    const error = new errors.UnhandledPromiseRejection(reason, promise);
    fail('Unhandled Promise Rejection', error, EXIT_UNHANDLED_REJECTION);
  });
  process.on('beforeExit', () => whenLoopIsEmpty());
  // Before the handler is loaded: the node tells from it how long the runtime took and how long the loading.
  api.connect();
  await new Promise(process.nextTick);
  try {
    const taskRoot = process.env.LAMBDA_TASK_ROOT || process.cwd();
    compiled.begin();
    handler = await require('./loader.js').load(taskRoot, process.env._HANDLER || '');
    refuseCallbackForm();
  } catch (error) {
    fail(version < WITHOUT_CALLBACKS ? 'Uncaught Exception' : 'Init Error', error, EXIT_UNCAUGHT_EXCEPTION);
    return;
  }
  serveNext();
}

// The identifier decides, not the interpreter that happens to serve it.
function runtimeVersion() {
  const named = /^AWS_Lambda_nodejs(\d+)/.exec(process.env.AWS_EXECUTION_ENV || '');
  return named ? Number(named[1]) : Number(process.versions.node.split('.')[0]);
}

function refuseCallbackForm() {
  if (version >= WITHOUT_CALLBACKS && !handler[STREAMING] && handler.length >= 3) {
    throw new errors.CallbackHandlerDeprecated(
      'ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. ' +
        'You need to modify this function to use a supported handler signature to use Node.js 24 or later. ' +
        'For more information see https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.',
    );
  }
}

// The end of this process: whatever it was doing is answered with the error.
function fail(title, error, code) {
  if (exiting) return;
  exiting = true;
  log.error(title, error);
  const report = errors.report(error);
  const leave = () => process.exit(code);
  const sent = requestId === undefined ? api.initError(report) : api.error(requestId, report);
  sent.then(leave, leave);
}

function serveNext() {
  whenLoopIsEmpty = () => {};
  if (exiting) return;
  serveWhenHere(api.next());
}

function serveWhenHere(next) {
  next.then(serve, (error) => {
    if (exiting) return;
    process.stderr.write(`Failed to get next invocation: ${error.message}\n`);
    process.exit(1);
  });
}

function serve(call) {
  requestId = call.headers['lambda-runtime-aws-request-id'];
  log.setRequest(requestId, call.headers['lambda-runtime-aws-tenant-id']);
  const traceId = call.headers['lambda-runtime-trace-id'];
  if (traceId) process.env._X_AMZN_TRACE_ID = traceId;
  else delete process.env._X_AMZN_TRACE_ID;

  if (handler[STREAMING]) {
    const setWhenLoopIsEmpty = (listener) => (whenLoopIsEmpty = listener);
    require('./streaming.js').serve(api, handler, call, { contextData, serveNext, setWhenLoopIsEmpty });
  } else if (version >= WITHOUT_CALLBACKS) {
    servePromise(call);
  } else {
    serveCallback(call);
  }
}

// ---- The forms of an answer --------------------------------------------------------------------------------

function answer(id, value) {
  let body;
  try {
    body = JSON.stringify(value === undefined ? null : value) ?? 'null';
  } catch {
    answerError(id, new Error('Unable to stringify response body'));
    return;
  }
  if (exiting) return;
  whenLoopIsEmpty = () => {};
  const code = compiled.take();
  serveWhenHere(code === null ? api.responseThenNext(id, body) : api.responseAndCode(id, body, code));
}

function answerError(id, error) {
  log.error('Invoke Error', error);
  api.error(id, errors.report(error)).then(serveNext, serveNext);
}

function servePromise(call) {
  const id = requestId;
  let result;
  try {
    result = handler(JSON.parse(call.body), contextData(call.headers));
  } catch (error) {
    answerError(id, error);
    return;
  }
  if (typeof result?.then !== 'function') {
    answer(id, result);
    return;
  }
  let sent = false;
  const send = (respond, value) => {
    if (sent) return;
    sent = true;
    whenLoopIsEmpty = () => {};
    respond(id, value);
  };
  // A promise that nothing is left to settle: the reference answers with null.
  whenLoopIsEmpty = () => send(answer, null);
  result.then(
    (value) => send(answer, value),
    (error) => send(answerError, error),
  );
}

function serveCallback(call) {
  const id = requestId;
  let finished = false; // the handler has said how it ended; later words are ignored
  let sent = false;
  let waits = true;

  const send = (respond, value) => {
    if (sent) {
      console.error(
        'Invocation has already been reported as done. Cannot call complete more than once per invocation.',
      );
      return;
    }
    sent = true;
    respond(id, value);
  };
  const finish = (error, result, mayWait) => {
    if (finished) return;
    finished = true;
    whenLoopIsEmpty = () => {};
    if (error !== undefined && error !== null) send(answerError, error);
    else if (mayWait && waits) whenLoopIsEmpty = () => setImmediate(send, answer, result);
    else send(answer, result);
  };
  const callback = (error, result) => finish(error, result, true);
  const done = (error, result) => finish(error, result, false);
  const context = {
    get callbackWaitsForEmptyEventLoop() {
      return waits;
    },
    set callbackWaitsForEmptyEventLoop(value) {
      waits = value;
    },
    succeed: (result) => done(null, result),
    fail: (error) => done(error === undefined || error === null ? 'handled' : error),
    done,
  };
  // Never called back, and nothing left that could: the reference answers with null.
  whenLoopIsEmpty = () => send(answer, null);
  try {
    const result = handler(JSON.parse(call.body), Object.assign(context, contextData(call.headers)), callback);
    if (typeof result?.then === 'function') result.then(context.succeed, context.fail);
  } catch (error) {
    callback(error);
  }
}

// ---- The context object -------------------------------------------------------------------------------------

function contextData(headers) {
  const deadline = Number(headers['lambda-runtime-deadline-ms']);
  return {
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: parsed(headers['lambda-runtime-client-context'], 'ClientContext'),
    identity: parsed(headers['lambda-runtime-cognito-identity'], 'CognitoIdentity'),
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    tenantId: headers['lambda-runtime-aws-tenant-id'],
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
}

function parsed(text, name) {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`Cannot parse ${name} as json: ${error.toString()}`);
  }
}
