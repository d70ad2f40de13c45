import { Slots } from '../../nodes/RunComfy/util/slots';

it('Slots skip aborted waiters, and lose no slot', async () => {
	const slots = new Slots(1);
	const order: string[] = [];
	let end = () => {};
	const first = slots.use(async () => await new Promise<void>((resolve) => (end = resolve)));
	const gone = new AbortController();
	const second = slots.use(async () => await Promise.resolve(order.push('gone')), 1, gone.signal);
	const third = slots.use(async () => await Promise.resolve(order.push('third')));
	gone.abort();
	await second;
	expect(order).toEqual(['gone']);
	end();
	await Promise.all([first, third]);
	await slots.use(async () => await Promise.resolve(order.push('fourth')));
	expect(order).toEqual(['gone', 'third', 'fourth']);
});
