// Imported while a parked client boots, so that the loader of ECMAScript modules is up before a function needs it.
import 'node:fs';

export const warm = true;
