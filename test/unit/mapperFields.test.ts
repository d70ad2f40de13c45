import { toMapperField } from '../../nodes/RunComfy/models/mapperFields';
import { field } from './inputField';

describe('toMapperField', () => {
	const mapped = (property: unknown, required = false) => toMapperField(field(property, required));

	it.each<[string, unknown, object]>([
		['a text', { type: 'string', title: 'Prompt' }, { type: 'string', displayName: 'Prompt' }],
		[
			'bounds and default',
			{ type: 'float', title: 'Scale', minimum: 0, maximum: 20, default: 2.5 },
			{ type: 'number', displayName: 'Scale (default 2.5, from 0 to 20)' },
		],
		[
			'a long default',
			{ type: 'string', title: 'Prompt', default: 'A very long text that helps nobody' },
			{ displayName: 'Prompt' },
		],
		[
			'choices',
			{ enum: [1, 'two'], title: 'Mode', default: 'two' },
			{
				type: 'options',
				displayName: 'Mode (default two)',
				options: [
					{ name: '1', value: 1 },
					{ name: 'two', value: 'two' },
				],
			},
		],
		['a date', { type: 'string', format: 'date-time' }, { type: 'dateTime' }],
		['an object', { type: 'object' }, { type: 'object' }],
		['a list', { type: 'array' }, { type: 'array' }],
		[
			'an image',
			{ type: 'string', format: 'image_uri', title: 'Image' },
			{ type: 'string', displayName: 'Image (URL or file field)' },
		],
		[
			'images',
			{ type: 'array', format: 'image_uris', maxItems: 3, title: 'Images' },
			{
				type: 'string',
				displayName: 'Images (URLs or file fields, at most 3)',
			},
		],
		['a switch with a default', { type: 'boolean', default: true }, { type: 'boolean', defaultValue: true }],
		[
			'a switch without one, which waits until it is added',
			{ type: 'boolean' },
			{ type: 'boolean', removed: true },
		],
		['what is not understood', { type: 'tensor' }, { type: 'string' }],
	])('shows %s', (_, property, expected) => expect(mapped(property)).toMatchObject(expected));

	it('marks what is required', () =>
		expect(mapped({ type: 'string' }, true)).toMatchObject({ required: true, display: true }));
});
