import { readOutput } from '../../nodes/RunComfy/models/output';

describe('The output of a model', () => {
	it.each<[unknown, string[], string[]]>([
		[{ image: 'https://a/1' }, ['https://a/1'], []],
		[{ images: ['https://a/1', 'https://a/2'] }, ['https://a/1', 'https://a/2'], []],
		[{ image: 'https://a/1', images: ['https://a/1', 'https://a/2'] }, ['https://a/1', 'https://a/2'], []],
		[{ images: 'https://a/1' }, ['https://a/1'], []],
		[{ video: 'https://a/v', videos: ['https://a/w'] }, [], ['https://a/v', 'https://a/w']],
		[{}, [], []],
		[null, [], []],
		[{ image: '', images: [null, 7, 'file:///etc/passwd', { href: 'x' }] }, [], []],
		[{ images: [{ url: 'https://a/1' }, { url: 7 }] }, ['https://a/1'], []],
		[{ image: { url: 'https://a/1', width: 8 } }, ['https://a/1'], []],
		[['https://a/1.png', { url: 'https://a/2.mp4?x=1' }], ['https://a/1.png'], ['https://a/2.mp4?x=1']],
		['https://a/1', ['https://a/1'], []],
	])('%j', (output, images, videos) =>
		expect(readOutput(output)).toEqual({
			...{ images, image: images[0], videos, video: videos[0], audios: [], otherUrls: [] },
		}),
	);

	it('holds audio', () => {
		const output = { audio: 'https://a/1.wav', audios: ['https://a/2.wav'], lyrics: 'la', timings: [1, 2] };
		const audios = ['https://a/1.wav', 'https://a/2.wav'];
		expect(readOutput(output)).toMatchObject({ audio: 'https://a/1.wav', audios });
	});

	it('lists URLs under other names, however deep, without taking them for files', () => {
		const mesh = { files: [{ href: 'https://a/2.glb' }] };
		const output = { image: 'https://a/1', mesh, input: 'https://a/3' };
		const otherUrls = ['https://a/2.glb', 'https://a/3'];
		expect(readOutput(output)).toMatchObject({ images: ['https://a/1'], otherUrls });
	});
});
