import { Readable } from 'node:stream';

import type { IExecuteFunctions } from 'n8n-workflow';

import { openInputFile } from '../../nodes/RunComfy/files/inputFile';
import { FieldError } from '../../nodes/RunComfy/util/errors';

const LINK = '/rest/binary-data/signed?token=a.b.c';

/** Opens a file that is stored, in an n8n of that address; undefined for one that makes no links. */
async function open(address: string | undefined, allowLoopback = false) {
	const signed: unknown[] = [];
	const helpers = {
		assertBinaryData: () => ({ id: 'filesystem:1', data: '', mimeType: 'image/png', bytes: 7_000_000 }),
		getBinaryStream: async () => await Promise.resolve(Readable.from([Buffer.from('GIF89a')])),
		...(address === undefined
			? {}
			: {
					createBinarySignedUrl: ({ id }: { id: string }, time: string) => {
						signed.push([id, time]);
						return `${address}${LINK}`;
					},
				}),
	};
	const options = { label: 'Image', fieldName: 'data', kind: 'image', maxMegabytes: 50 } as const;
	const context = { helpers, getInputData: () => [] } as unknown as IExecuteFunctions;
	const file = await openInputFile(context, 0, { ...options, allowLoopback, linkSeconds: 3_700 }).catch(
		(error: unknown) => error,
	);
	return { file, signed };
}

describe('A temporary link', () => {
	it('is made when it is sent, for a file of any size', async () => {
		const { file, signed } = await open('https://n8n.example.com');
		expect(file).toMatchObject({ megabytes: 7, bytes: 59 });
		expect(signed).toHaveLength(1);
		expect(await (file as { read(): Promise<string> }).read()).toBe(`https://n8n.example.com${LINK}`);
		expect(signed).toEqual([0, 1].map(() => ['filesystem:1', '3700s']));
		expect((await open('http://localhost:5678', true)).file).toMatchObject({ megabytes: 7 });
	});

	it.each([
		[undefined, 'this n8n makes no such links', 'Update n8n'],
		['http://n8n.example.com', 'the address of this n8n must begin with https://', 'WEBHOOK_URL'],
		['https://localhost:5678', 'points to this computer or a private network (localhost)', 'WEBHOOK_URL'],
		['https://10.0.0.5', 'points to this computer or a private network (10.0.0.5)', 'WEBHOOK_URL'],
		['https://n8n', 'points to this computer or a private network (n8n)', 'WEBHOOK_URL'],
	])('is refused before a submit where n8n is %s', async (address, why, advice) => {
		const { file } = await open(address);
		if (!(file instanceof FieldError)) throw new Error('Not a FieldError');
		expect(file.message).toContain('“Send Files As” cannot be “Temporary Link to This n8n”');
		expect(file.message).toContain(why);
		expect(file.advice).toContain(advice);
		expect(`${file.message}${file.advice}`).not.toContain('token');
	});
});
