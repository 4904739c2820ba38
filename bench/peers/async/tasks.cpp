// What Boost's fibers, contexts and timers cost: boost switch|yield|spawn|gather|timer|queue|lock|sleeps COUNT
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/context/fiber.hpp>
#include <boost/fiber/all.hpp>
#include <boost/fiber/pooled_fixedsize_stack.hpp>
#include <map>
#include <string>
#include <vector>

#include "timed.h"

namespace fibers = boost::fibers;
using namespace std::chrono_literals;
using boost::asio::steady_timer;

static constexpr int at_once = 1000, others = 10000, contenders = 10;

static void switch_stacks(unsigned long count)
{
	boost::context::fiber inside([](boost::context::fiber &&outside) {
		for (;;)
			outside = std::move(outside).resume();
		return std::move(outside);
	});

	for (unsigned long i = 0; i < count / 2; i++)
		inside = std::move(inside).resume();
}

// Stacks of 64 KiB that are used again: the default ones are mapped and unmapped for each fiber.
static fibers::pooled_fixedsize_stack &pool()
{
	static fibers::pooled_fixedsize_stack stacks(65536);

	return stacks;
}

template <typename run_fn> static void together(unsigned long n, run_fn run)
{
	std::vector<fibers::fiber> all;

	all.reserve(n);
	for (unsigned long i = 0; i < n; i++)
		all.emplace_back(std::allocator_arg, pool(), run);
	for (auto &fiber : all)
		fiber.join();
}

static void yield(unsigned long count)
{
	together(2, [count] {
		for (unsigned long i = 0; i < count / 2; i++)
			boost::this_fiber::yield();
	});
}

static void spawn(unsigned long count)
{
	while (count-- > 0)
		fibers::fiber(std::allocator_arg, pool(), [] {}).join();
}

static void gather(unsigned long count)
{
	for (; count >= at_once; count -= at_once)
		together(at_once, [] {});
}

static void arm(steady_timer &timer, int after_ms)
{
	timer.expires_after(30s + std::chrono::milliseconds(after_ms));
	timer.async_wait([](const boost::system::error_code &) {});
}

static void timer(unsigned long count)
{
	boost::asio::io_context context;
	std::vector<steady_timer> all;
	steady_timer timer(context);

	all.reserve(others);
	for (int i = 0; i < others; i++)
		arm(all.emplace_back(context), i * 7919 % others);
	for (unsigned long i = 0; i < count; i++) {
		arm(timer, (int)(i % others));
		timer.cancel();
		if (i % 64 == 0)
			context.poll(); // the handlers of what was cancelled
	}
}

static void queue(unsigned long count)
{
	fibers::buffered_channel<unsigned long> items(2);
	fibers::fiber putting([&] {
		for (unsigned long i = 0; i < count; i++)
			items.push(i);
	});
	unsigned long item;

	for (unsigned long i = 0; i < count; i++)
		items.pop(item);
	putting.join();
}

static void lock(unsigned long count)
{
	fibers::mutex mutex;

	together(contenders, [&] {
		for (unsigned long i = 0; i < count / contenders; i++) {
			std::lock_guard<fibers::mutex> held(mutex);

			boost::this_fiber::yield();
		}
	});
}

static void sleeps(unsigned long count)
{
	std::vector<fibers::fiber> all;

	all.reserve(count);
	for (unsigned long i = 0; i < count; i++)
		all.emplace_back([] { boost::this_fiber::sleep_for(1s); });
	for (auto &fiber : all)
		fiber.join();
}

int main(int argc, char **argv)
{
	const timed_workload workloads[] = { { "switch", switch_stacks }, { "yield", yield },
					     { "spawn", spawn },	  { "gather", gather },
					     { "timer", timer },	  { "queue", queue },
					     { "lock", lock } };

	if (argc == 3 && strcmp(argv[1], "sleeps") == 0) {
		int64_t started = figures_now();

		sleeps(strtoul(argv[2], NULL, 10));
		timed_print(strtoul(argv[2], NULL, 10), started);
		return 0;
	}
	return timed_main(argc, argv, workloads, sizeof(workloads) / sizeof(workloads[0]));
}
