'use strict';
// The console as a log: one frame an event, so that the lines of one message stay together.
//
// A frame is 4 bytes type, 4 bytes length, 8 bytes microseconds, message, big-endian. The type says text or
// JSON in its lowest bit and the level above. Without the descriptor for frames, lines go to stdout, with
// carriage returns in the place of line feeds.

const util = require('util');
const fs = require('fs');
const errors = require('./errors.js');

const FRAME_TEXT = 0xa55a0003;
const FRAME_JSON = 0xa55a0002;
const FRAME_HEAD_BYTES = 16;
const LEVELS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'];

// Under these names libraries of the reference's ecosystem find them.
const REQUEST_ID = Symbol.for('aws.lambda.runtime.requestId');
const TENANT_ID = Symbol.for('aws.lambda.runtime.tenantId');

let isJson = false;
let emit;

exports.setRequest = (requestId, tenantId) => {
  globalThis[REQUEST_ID] = requestId;
  globalThis[TENANT_ID] = tenantId;
};

exports.patchConsole = () => {
  isJson = (process.env.AWS_LAMBDA_LOG_FORMAT || '').toUpperCase() === 'JSON';
  const fd = process.env._LAMBDA_TELEMETRY_LOG_FD;
  delete process.env._LAMBDA_TELEMETRY_LOG_FD;
  emit = fd === undefined ? toStdout : toFrames(parseInt(fd, 10));

  const least = LEVELS.indexOf((process.env.AWS_LAMBDA_LOG_LEVEL || '').toUpperCase());
  const method = (level) => {
    const index = LEVELS.indexOf(level);
    if (index < least && level !== 'FATAL') return () => {};
    return (...parts) => write(level, index, parts);
  };
  console.trace = method('TRACE');
  console.debug = method('DEBUG');
  console.info = console.log = method('INFO');
  console.warn = method('WARN');
  console.error = method('ERROR');
  console.fatal = method('FATAL');
};

// An error that the client reports, in the form that the reference logs it.
exports.error = (title, error) => {
  if (isJson) console.error(error instanceof Error ? error : new Error(error));
  else console.error(title, errors.logged(error));
};

function write(level, index, parts) {
  const date = new Date();
  const time = date.toISOString();
  const text = isJson
    ? jsonLine(time, level, parts)
    : `${time}\t${globalThis[REQUEST_ID]}\t${level}\t${util.format(...parts)}`;
  emit(date, index, text);
}

function jsonLine(timestamp, level, parts) {
  const line = { timestamp, level, requestId: globalThis[REQUEST_ID] };
  const tenantId = globalThis[TENANT_ID];
  if (tenantId !== undefined && tenantId !== null) line.tenantId = tenantId;
  if (parts.length === 1) {
    line.message = parts[0];
    try {
      return JSON.stringify(line, (_key, value) => (value instanceof Error ? errorFields(value) : value));
    } catch {
      line.message = util.format(line.message);
      return JSON.stringify(line);
    }
  }
  line.message = util.format(...parts);
  const error = parts.find((part) => part instanceof Error);
  if (error) {
    const { errorType, errorMessage, stackTrace } = errorFields(error);
    Object.assign(line, { errorType, errorMessage, stackTrace });
  }
  return JSON.stringify(line);
}

function errorFields(error) {
  return {
    errorType: error.constructor?.name ?? 'UnknownError',
    errorMessage: error.message,
    stackTrace: typeof error.stack === 'string' ? error.stack.split('\n') : error.stack,
    ...error,
  };
}

function toStdout(_date, _index, text) {
  process.stdout.write(text.replace(/\n/g, '\r') + '\n');
}

function toFrames(fd) {
  return (date, index, text) => {
    const message = isJson ? text : text + '\n';
    const length = Buffer.byteLength(message);
    const frame = Buffer.allocUnsafe(FRAME_HEAD_BYTES + length);
    frame.writeUInt32BE(((isJson ? FRAME_JSON : FRAME_TEXT) | ((index + 1) << 2)) >>> 0, 0);
    frame.writeUInt32BE(length, 4);
    frame.writeBigInt64BE(BigInt(date.getTime()) * 1000n, 8);
    frame.write(message, FRAME_HEAD_BYTES);
    writeAll(fd, frame);
  };
}

function writeAll(fd, buffer) {
  for (let done = 0; done < buffer.length; ) {
    try {
      done += fs.writeSync(fd, buffer, done);
    } catch (error) {
      // A full pipe that something has made non-blocking: whoever floods the log waits.
      if (error.code !== 'EAGAIN') throw error;
    }
  }
}
