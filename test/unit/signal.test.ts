import { LightSignal, type Signal } from '../../nodes/RunComfy/util/time';

/** Both behave alike in everything that is used here. */
function aborted(signal: Signal, abort: () => void): string[] {
	const heard: string[] = [];
	const late = () => heard.push('removed by another');
	const gone = () => heard.push('removed before');
	signal.addEventListener('abort', () => {
		heard.push(`first, aborted: ${signal.aborted}`);
		signal.removeEventListener('abort', late);
	});
	signal.addEventListener('abort', late);
	signal.addEventListener('abort', gone);
	signal.removeEventListener('abort', gone);
	signal.addEventListener('abort', () => heard.push('last'));
	heard.push(`before: ${signal.aborted}`);
	abort();
	abort();
	signal.addEventListener('abort', () => heard.push('too late'));
	abort();
	return heard;
}

it('A LightSignal tells its listeners what an AbortSignal tells them', () => {
	const light = new LightSignal();
	const heavy = new AbortController();
	const heard = aborted(light, () => light.abort());
	expect(heard).toEqual(aborted(heavy.signal, () => heavy.abort()));
	expect(heard).toEqual(['before: false', 'first, aborted: true', 'last']);
});
