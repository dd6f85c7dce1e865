'use strict';
// The Lambda Runtime API, version 2018-06-01, over kept-alive TCP connections.
//
// Own HTTP/1.1 on top of `net`, which loads quicker than `http`. One connection serves the loop; a second one
// is opened only by who must speak while the first one waits for the next invocation.
//
// A connection keeps the event loop alive only while an exchange runs on it.

const net = require('net');

const BASE = '/2018-06-01/runtime/';
const ERROR_TYPE = 'application/vnd.aws.lambda.error+json';
// Asks the node to answer a response with the next event: one exchange for each call instead of two. Another server
// doesn't know it and answers as ever.
const THEN_NEXT = 'Lambent-Then: next\r\n';
const HEAD_END = Buffer.from('\r\n\r\n');

class Connection {
  constructor(host, port) {
    this.waiting = null;
    this.closed = false;
    this._parts = [];
    this._have = 0;
    this._head = null;
    this.socket = net.connect({ host, port, noDelay: true });
    this.socket.on('data', (chunk) => this._take(chunk));
    this.socket.on('error', (error) => this._end(error));
    this.socket.on('close', () => this._end(new Error('the Runtime API closed the connection')));
  }

  // Resolves with the answer to what `write` sends.
  exchange(write) {
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.socket.ref();
      write(this.socket);
    });
  }

  _take(chunk) {
    this._parts.push(chunk);
    this._have += chunk.length;
    // A large event comes in many pieces: they are joined once, when they are all here.
    if (this._head !== null && this._have < this._head.need) return;
    let answer;
    try {
      answer = this._answer();
    } catch (error) {
      this.socket.destroy(error);
      return;
    }
    if (answer === null || this.waiting === null) return;
    this._parts = [];
    this._have = 0;
    this._head = null;
    const { resolve } = this.waiting;
    this.waiting = null;
    this.socket.unref();
    if ((answer.headers.connection || '').toLowerCase() === 'close') {
      this.closed = true;
      this.socket.end();
    }
    resolve(answer);
  }

  // The whole answer, or null while it is incomplete.
  _answer() {
    const data = this._parts.length === 1 ? this._parts[0] : Buffer.concat(this._parts);
    this._parts = [data];
    this._head ??= parseHead(data);
    const head = this._head;
    if (head === null || data.length < head.need) return null;
    const body = head.isChunked ? chunks(data, head.start) : data.subarray(head.start, head.need);
    return body === null ? null : { status: head.status, headers: head.headers, body };
  }

  _end(error) {
    this.closed = true;
    if (this.waiting === null) return;
    const { reject } = this.waiting;
    this.waiting = null;
    reject(error);
  }
}

class Api {
  constructor(address) {
    const colon = address.lastIndexOf(':');
    this._host = address.slice(0, colon);
    this._port = Number(address.slice(colon + 1));
    this._common = ` HTTP/1.1\r\nHost: ${address}\r\nUser-Agent: aws-lambda-nodejs/${process.version}-lambent\r\n`;
    this._connection = null;
  }

  // Opens the connection ahead of the first exchange.
  connect() {
    this._free().socket.unref();
  }

  // Closes the connection; resolves when it is.
  close() {
    const { socket } = this._free();
    return new Promise((resolve) => socket.once('close', resolve).destroy());
  }

  async next() {
    const head = `GET ${BASE}invocation/next${this._common}\r\n`;
    return call(await this._free().exchange((socket) => socket.write(head)));
  }

  // Answers an invocation and resolves with the next one. An answer that was refused, or did not get through, has
  // had its say: the loop goes on.
  async responseThenNext(id, body) {
    const headers = `Content-Type: application/json\r\n${THEN_NEXT}`;
    let answer;
    try {
      answer = await this._post(`invocation/${encodeURIComponent(id)}/response`, body, headers);
    } catch {
      return this.next();
    }
    return answer.status === 200 ? call(answer) : this.next();
  }

  // The same, with compiled code for the node between the two: whoever called doesn't wait for that.
  async responseAndCode(id, body, code) {
    try {
      await this._post(`invocation/${encodeURIComponent(id)}/response`, body, 'Content-Type: application/json\r\n');
      const bytes = code();
      const head = `POST ${BASE}lambent/code${this._common}Content-Length: ${bytes.length}\r\n\r\n`;
      await this._free().exchange((socket) => {
        socket.write(head);
        socket.write(bytes);
      });
    } catch {
      // Whether the node has it makes no difference to this environment.
    }
    return this.next();
  }

  error(id, report) {
    return this._post(`invocation/${encodeURIComponent(id)}/error`, JSON.stringify(report), errorHeaders(report));
  }

  initError(report) {
    return this._post('init/error', JSON.stringify(report), errorHeaders(report));
  }

  // Begins a response whose body follows in chunks; the caller writes them on the connection's socket.
  open(id, headers) {
    const path = `${BASE}invocation/${encodeURIComponent(id)}/response`;
    return { connection: this._free(), head: `POST ${path}${this._common}${headers}\r\n` };
  }

  _post(path, body, headers) {
    // One string and one write: the socket hands it to the kernel before anything else happens, so that the
    // answer is out even if the function then ends the process.
    const length = Buffer.byteLength(body);
    const request = `POST ${BASE}${path}${this._common}${headers}Content-Length: ${length}\r\n\r\n${body}`;
    return this._free().exchange((socket) => socket.write(request));
  }

  _free() {
    const usual = this._connection;
    if (usual !== null && !usual.closed) {
      if (usual.waiting === null) return usual;
      return new Connection(this._host, this._port);
    }
    this._connection = new Connection(this._host, this._port);
    return this._connection;
  }
}

function call(answer) {
  if (answer.status !== 200) throw new Error(`the Runtime API answered ${answer.status}`);
  return { headers: answer.headers, body: answer.body.toString() };
}

function errorHeaders(report) {
  const kind = String(report.errorType).replace(/[^\x21-\x7e]/g, '_');
  return `Content-Type: ${ERROR_TYPE}\r\nLambda-Runtime-Function-Error-Type: ${kind}\r\n`;
}

function parseHead(data) {
  const end = data.indexOf(HEAD_END);
  if (end < 0) return null;
  const [first, ...lines] = data.toString('utf8', 0, end).split('\r\n');
  const headers = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  const start = end + HEAD_END.length;
  const isChunked = (headers['transfer-encoding'] || '').toLowerCase() === 'chunked';
  const need = isChunked ? start : start + Number(headers['content-length'] || 0);
  return { status: Number(first.split(' ', 2)[1]), headers, isChunked, start, need };
}

function chunks(data, from) {
  const parts = [];
  for (;;) {
    const line = data.indexOf('\r\n', from);
    if (line < 0) return null;
    const length = parseInt(data.toString('latin1', from, line), 16);
    if (Number.isNaN(length)) throw new Error('the Runtime API sent a chunk without a length');
    const end = line + 2 + length;
    if (data.length < end + 2) return null;
    if (length === 0) return Buffer.concat(parts);
    parts.push(data.subarray(line + 2, end));
    from = end + 2;
  }
}

module.exports = { Api };
