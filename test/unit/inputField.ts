import { readInputFields, type InputField } from '../../nodes/RunComfy/models/inputSchema';

/** One input from its schema, under the name `it`. */
export function field(property: unknown, required = false): InputField {
	const schema = {
		properties: { it: property },
		definitions: { Mode: { enum: ['fast', 'slow'] } },
		$defs: {
			Steps: { type: 'integer', minimum: 1, title: 'Steps' },
			'More/Steps': { $ref: '#/$defs/Steps' },
			Picture: { type: 'string', format: 'image_uri' },
		},
	};
	const [read] = readInputFields(schema, required ? ['it'] : []);
	if (read === undefined) throw new Error('No field');
	return read;
}
