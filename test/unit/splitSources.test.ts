import * as fc from 'fast-check';

import { splitSources } from '../../nodes/RunComfy/models/splitSources';

describe('splitSources', () => {
	it('property: a list of files loses nothing but its separators', () => {
		const part = fc.constantFrom(
			'data',
			',',
			', ',
			'\n',
			'https://a.b/c',
			'data:image/png;base64,',
			'x',
			'AA==',
		);
		fc.assert(
			fc.property(
				fc.array(part).map((parts) => parts.join('')),
				(text) => {
					const bare = (one: string) => one.replace(/[\s,]/g, '');
					expect(bare(splitSources(text, (name) => name === 'data').join(''))).toBe(bare(text));
				},
			),
		);
	});
});
