import { withoutExpressions } from '../../nodes/RunComfy/n8n/expressions';

describe('withoutExpressions', () => {
	it.each<[string, unknown, unknown]>([
		['a label', { displayName: '=a', name: '={{ 1 }}' }, { displayName: "'=a", name: "'={{ 1 }}" }],
		[
			'what is none',
			{ name: 'a = b', value: ' =x', count: 5, none: null },
			{ name: 'a = b', value: ' =x', count: 5, none: null },
		],
		['a default', { id: 'a', defaultValue: '=1' }, { id: 'a' }],
		['a field', { fields: [{ id: '=a' }, { id: 'b' }] }, { fields: [{ id: 'b' }] }],
		[
			'a choice',
			[
				{
					options: [
						{ name: '=x', value: '=x' },
						{ name: '=y', value: 'y' },
					],
				},
			],
			[
				{
					options: [
						{ name: "'=x", value: '={{ "\\u003dx" }}' },
						{ name: "'=y", value: 'y' },
					],
				},
			],
		],
		['what is saved beside a field', { rules: { fileKind: '=x' } }, { rules: { fileKind: "'=x" } }],
	])('%s', (_, value, expected) => expect(withoutExpressions(value)).toEqual(expected));
});
