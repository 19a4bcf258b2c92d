// SPDX-License-Identifier: MIT
// libloam-malloc through C++: every new and delete. LD_PRELOAD chooses it.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include <dlfcn.h>
#include <malloc.h>

static unsigned tests;
static unsigned failures;

static void result(bool ok, const char *title)
{
	std::printf("%sok %u - %s\n", ok ? "" : "not ", ++tests, title);
	failures += !ok;
}

static bool is_loams(const char *name)
{
	Dl_info info;
	void *function = dlsym(RTLD_DEFAULT, name);
	bool ok = function != nullptr && dladdr(function, &info) != 0 &&
		  std::string(info.dli_fname).find("libloam-malloc") !=
			  std::string::npos;
	if (!ok) {
		std::printf("# %s is not Loam's\n", name);
	}
	return ok;
}

static bool all_names()
{
	static const char *const names[] = {
		"_Znwm", "_Znam", "_ZnwmRKSt9nothrow_t", "_ZnamRKSt9nothrow_t",
		"_ZnwmSt11align_val_t", "_ZnamSt11align_val_t",
		"_ZnwmSt11align_val_tRKSt9nothrow_t",
		"_ZnamSt11align_val_tRKSt9nothrow_t", "_ZdlPv", "_ZdaPv",
		"_ZdlPvm", "_ZdaPvm", "_ZdlPvSt11align_val_t",
		"_ZdaPvSt11align_val_t", "_ZdlPvmSt11align_val_t",
		"_ZdaPvmSt11align_val_t", "_ZdlPvRKSt9nothrow_t",
		"_ZdaPvRKSt9nothrow_t", "_ZdlPvSt11align_val_tRKSt9nothrow_t",
		"_ZdaPvSt11align_val_tRKSt9nothrow_t",
	};
	return std::all_of(std::begin(names), std::end(names), is_loams);
}

struct alignas(256) Wide {
	char bytes[300];
};

static bool aligned()
{
	std::vector<std::unique_ptr<Wide>> wides;
	for (int i = 0; i < 1000; i++) {
		wides.push_back(std::make_unique<Wide>());
		if (reinterpret_cast<std::uintptr_t>(wides.back().get()) %
			    256 != 0) {
			return false;
		}
	}
	Wide *array = new Wide[7];
	bool ok = reinterpret_cast<std::uintptr_t>(array) % 256 == 0;
	delete[] array;
	void *raw = operator new(100, std::align_val_t(8192), std::nothrow);
	ok = ok && reinterpret_cast<std::uintptr_t>(raw) % 8192 == 0;
	operator delete(raw, std::align_val_t(8192), std::nothrow);
	raw = operator new(64);
	ok = ok && malloc_usable_size(raw) >= 64;
	operator delete(raw, std::size_t(64));
	raw = operator new[](0);
	ok = ok && raw != nullptr;
	operator delete[](raw);
	return ok;
}

static std::size_t volatile huge = SIZE_MAX / 2;

static bool throws()
{
	int caught = 0;
	try {
		operator delete(operator new(huge));
	} catch (const std::bad_alloc &) {
		caught++;
	}
	try {
		operator delete[](operator new[](huge, std::align_val_t(64)),
				  std::align_val_t(64));
	} catch (const std::bad_alloc &) {
		caught++;
	}
	return caught == 2 &&
	       operator new(huge, std::nothrow) == nullptr &&
	       operator new[](huge, std::nothrow) == nullptr &&
	       operator new(huge, std::align_val_t(64), std::nothrow) ==
		       nullptr;
}

static int handled;

static void handler()
{
	if (++handled == 3) {
		std::set_new_handler(nullptr);
	}
}

static bool handlers()
{
	std::set_new_handler(handler);
	bool failed = operator new(huge, std::nothrow) == nullptr;
	return failed && handled == 3;
}

static bool containers()
{
	std::vector<std::thread> threads;
	std::vector<std::size_t> sums(4);
	for (std::size_t t = 0; t < 4; t++) {
		threads.emplace_back([t, &sums] {
			std::map<std::string, std::vector<int>> map;
			for (int i = 0; i < 20000; i++) {
				map[std::to_string(i * 7919 % 3000)].push_back(
					i);
			}
			for (auto &entry : map) {
				sums[t] += entry.second.size();
			}
		});
	}
	for (auto &thread : threads) {
		thread.join();
	}
	return std::all_of(sums.begin(), sums.end(),
			   [](std::size_t sum) { return sum == 20000; });
}

int main()
{
	result(all_names(), "every new and delete is Loam's");
	result(aligned(), "aligned, sized and nothrow forms agree");
	result(throws(), "new throws std::bad_alloc, nothrow returns null");
	result(handlers(), "the new-handler is called until there is none");
	result(containers(), "containers in four threads");
	std::printf("1..%u\n", tests);
	return failures != 0;
}
