import path from 'node:path';
import { parseArgs } from 'node:util';

/** The command line, which child processes get too. `against` is a checkout whose build is measured as well. */
const options = { quick: { type: 'boolean', default: false }, against: { type: 'string' } } as const;
const { values } = parseArgs({ options });
export const { quick } = values;
export const against = values.against === undefined ? undefined : path.resolve(values.against);
