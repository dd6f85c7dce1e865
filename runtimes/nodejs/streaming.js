'use strict';
// Response streaming: handlers wrapped in `awslambda.streamifyResponse(handler(event, stream, context))`.
//
// The response goes out in chunks as the handler writes it. An error after the first byte can't change the
// status any more: it travels in trailers. An error before it is an ordinary invocation error.

const { Writable } = require('stream');
const errors = require('./errors.js');
const log = require('./log.js');

const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');
const METADATA_TYPE = 'application/vnd.awslambda.http-integration-response';
// Between the metadata of an HTTP response and its body.
const METADATA_END = new Uint8Array(8);
const ERROR_TYPE = 'Lambda-Runtime-Function-Error-Type';
const ERROR_BODY = 'Lambda-Runtime-Function-Error-Body';

class ResponseStream extends Writable {
  #api;
  #id;
  #contentType = 'application/octet-stream';
  #connection = null;
  #answered = null;
  #trailers = '';

  constructor(api, id, highWaterMark) {
    super(highWaterMark ? { highWaterMark } : {});
    this.#api = api;
    this.#id = id;
  }

  get isStarted() {
    return this.#connection !== null;
  }

  setContentType(contentType) {
    if (this.isStarted || this.writableLength > 0) {
      throw new errors.InvalidStreamingOperation('Cannot set content-type, too late.');
    }
    this.#contentType = String(contentType).replace(/[\r\n]/g, '');
  }

  write(chunk, ...rest) {
    const isBytes = typeof chunk === 'string' || chunk instanceof Uint8Array;
    return super.write(isBytes || chunk === null ? chunk : JSON.stringify(chunk), ...rest);
  }

  // Ends the response with an error in its trailers.
  fail(report) {
    const body = Buffer.from(JSON.stringify(report)).toString('base64');
    const kind = String(report.errorType).replace(/[^\x21-\x7e]/g, '_');
    this.#trailers = `${ERROR_TYPE}: ${kind}\r\n${ERROR_BODY}: ${body}\r\n`;
    if (!this.writableEnded && !this.destroyed) this.end();
  }

  _write(chunk, _encoding, done) {
    const socket = this.#start();
    this.#send(socket, chunk, done);
    socket.uncork();
  }

  _final(done) {
    const socket = this.#start();
    socket.ref();
    socket.write(`0\r\n${this.#trailers}\r\n`);
    socket.uncork();
    this.#answered.then(() => done(), done);
  }

  // A broken-off body can only be shown by breaking off the connection.
  _destroy(error, done) {
    if (this.isStarted && !this.writableFinished) this.#connection.socket.destroy();
    done(error);
  }

  // The socket, corked, after the head of the request.
  #start() {
    if (this.isStarted) {
      this.#connection.socket.cork();
      return this.#connection.socket;
    }
    const { connection, head } = this.#api.open(
      this.#id,
      'Lambda-Runtime-Function-Response-Mode: streaming\r\n' +
        `Content-Type: ${this.#contentType}\r\n` +
        `Trailer: ${ERROR_TYPE}, ${ERROR_BODY}\r\n` +
        'Transfer-Encoding: chunked\r\n',
    );
    this.#connection = connection;
    const socket = connection.socket;
    socket.cork();
    this.#answered = connection.exchange(() => socket.write(head));
    // Refused half-way (the function is over its time, or the caller has gone): later writes fail.
    this.#answered.catch((error) => this.destroy(error));
    socket.unref();
    this._onBeforeFirstWrite?.((part) => this.#send(socket, Buffer.from(part)));
    return socket;
  }

  #send(socket, bytes, done) {
    if (bytes.length === 0) {
      if (done) done();
      return;
    }
    socket.write(bytes.length.toString(16) + '\r\n');
    socket.write(bytes);
    socket.write('\r\n', done);
  }
}

exports.HttpResponseStream = class HttpResponseStream {
  static from(stream, metadata) {
    stream.setContentType(METADATA_TYPE);
    const prelude = JSON.stringify(metadata);
    stream._onBeforeFirstWrite = (write) => {
      write(prelude);
      write(METADATA_END);
    };
    return stream;
  }
};

exports.serve = async (api, handler, call, { contextData, serveNext, setWhenLoopIsEmpty }) => {
  const id = call.headers['lambda-runtime-aws-request-id'];
  const stream = new ResponseStream(api, id, handler[HIGH_WATER_MARK]);
  const closed = new Promise((resolve) => stream.once('close', resolve));
  // Without a listener, an error would end the process.
  stream.on('error', () => {});
  let waits = true;
  let over = false;
  const context = {
    get callbackWaitsForEmptyEventLoop() {
      return waits;
    },
    set callbackWaitsForEmptyEventLoop(value) {
      waits = value;
    },
  };
  const end = () => {
    over = true;
    if (waits) setWhenLoopIsEmpty(() => setImmediate(serveNext));
    else serveNext();
  };
  const fail = async (error) => {
    if (over) return;
    over = true;
    setWhenLoopIsEmpty(() => {});
    log.error('Invoke Error', error);
    const report = errors.report(error);
    if (stream.isStarted) {
      stream.fail(report);
      await closed;
    } else {
      stream.destroy();
      await api.error(id, report).catch(() => {});
    }
    serveNext();
  };
  // The handler is done or hangs, and nothing is left that could end the stream.
  setWhenLoopIsEmpty(() => fail('Response stream is not finished.'));
  try {
    const result = handler(JSON.parse(call.body), stream, Object.assign(context, contextData(call.headers)));
    if (typeof result?.then !== 'function') {
      await fail('Streaming does not support non-async handlers.');
      return;
    }
    if ((await result) !== undefined) console.warn('Streaming handlers ignore return values.');
    await closed;
    if (!stream.writableFinished) await fail(stream.errored ?? 'Response stream is not finished.');
    else if (!over) end();
  } catch (error) {
    await fail(error);
  }
};
