// A handler of a rehearsal, in the form of an ECMAScript module.
import { join } from 'node:path';

export const handler = async (event) => ({ statusCode: 200, body: JSON.stringify(event), at: join('a', 'b') });
