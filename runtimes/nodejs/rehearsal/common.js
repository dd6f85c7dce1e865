'use strict';
// A handler of a rehearsal, in the form of a CommonJS module.
const { join } = require('path');

exports.handler = async (event) => ({ statusCode: 200, body: JSON.stringify(event), at: join('a', 'b') });
