'use strict';
// A call ahead of the first one, by a runtime that knows no function yet.
//
// What is done for the first time is slow: functions are compiled when they are first called, and the loaders make
// their caches. So a parked runtime loads handlers of its own in both forms and answers itself an event, over the
// sandbox's own loopback. Nothing listens any more when this is over.

const net = require('net');
const path = require('path');
const { Api } = require('./wire.js');
const loader = require('./loader.js');

const EVENT = '{"key":["value",1,2.5,null,true]}';
const HEAD =
  'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n' +
  'Lambda-Runtime-Aws-Request-Id: 00000000-0000-0000-0000-000000000000\r\nLambda-Runtime-Deadline-Ms: 0\r\n' +
  'Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:::function:rehearsal\r\n';
const NEXT = `${HEAD}Content-Length: ${EVENT.length}\r\n\r\n${EVENT}`;

// `serve` is the client's own way with a call: (call, handler, api) => promise of the next call.
exports.rehearse = async (serve) => {
  const server = net.createServer((socket) => {
    socket.on('data', () => socket.write(NEXT));
    socket.on('error', () => {});
  });
  await new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const api = new Api(`127.0.0.1:${server.address().port}`);
  try {
    api.connect();
    const folder = path.join(__dirname, 'rehearsal');
    let call = await api.next();
    for (const module of ['index', 'common']) {
      const { handler } = await loader.find(folder, '', module);
      call = await serve(call, handler, api);
    }
  } finally {
    await api.close();
    await new Promise((resolve) => server.close(resolve));
  }
};
