import { spawnSync } from 'node:child_process';
import path from 'node:path';

import * as fc from 'fast-check';

import { installN8n, NEWEST, OLDEST } from '../n8n/installation';
import { plain, SAVED_LISTS } from '../properties/editorTexts';
import { INSTALL_TIMEOUT_MS } from './n8nEnvironment';

/** As `test/properties/expressions.test.ts`, with the evaluators that whole n8n has. */
test.each([
	[NEWEST, 'vm'],
	[OLDEST, 'legacy'],
])(
	'in n8n %s, its %s engine finds no expression in what the editor saves',
	async (version, engine) => {
		const { environment, modules } = await installN8n(version, (line) => console.log(line));
		const saved = await Promise.all(
			SAVED_LISTS.flatMap(({ raw, save }) => fc.sample(raw, 100).map(async (given) => await save(given))),
		);
		const { stdout, stderr } = spawnSync('node', [path.join(__dirname, 'evaluator.cjs'), modules, engine], {
			env: environment,
			input: JSON.stringify(['={{ $json.secret }}', ...saved]),
			encoding: 'utf8',
		});
		expect(stderr).toBe('');
		expect(JSON.parse(stdout)).toEqual({ engine, values: ['a secret', ...saved.map(plain)] });
	},
	INSTALL_TIMEOUT_MS,
);
