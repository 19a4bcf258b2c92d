/* SPDX-License-Identifier: MIT */
/* src/slab/magazine.c: two CPUs exchange magazines, one of them interrupted. */

/*
 * Each CPU allocates objects and frees those that either CPU has allocated: so
 * objects come home in the magazines that go through the depot. CPU 0 is also
 * interrupted, at any step at which it holds no lock, by an allocation or a
 * free of its own. An object is never in two hands, a free always finds that it
 * is live, and in the end each object and each magazine is in one place.
 *
 * The steps are those of the fast paths (slab_struct.h) and of magazine.c; each
 * is atomic there as it is here, under a busy flag; where the host restarts fast
 * paths instead, an interrupt never finds one begun, and is one of these that
 * come before it or after it. A magazine has room for one object, so that
 * few steps lead to every exchange, and there are five of them: the depot has
 * one that is full and two that are empty, and no more can be had.
 *
 * There are two ways to keep an interrupt out of a CPU's layer, and all is tried
 * with each. A flag: the interrupt that finds it set goes to the slab. Or, as in
 * the kernel, restarts: the fast path is a sequence of which the last step alone
 * changes the stack, an interrupt sends it back to its start, and slow paths keep
 * interrupts out.
 *
 * BROKEN=1: who goes into a CPU's layer does not mark it busy.
 * BROKEN=2: the depot is popped after a look at it, without its lock.
 * BROKEN=3: who gives a full magazine to the depot keeps it as well.
 * BROKEN=4: a free clears the object's byte of the shadow after it has pushed
 *           it and has left the layer.
 * BROKEN=5: an interrupt that finds the layer busy goes to the slab without the
 *           cache's lock.
 * BROKEN=6: an interrupt does not send back what it finds unfinished.
 */
#ifndef BROKEN
#define BROKEN 0
#endif

#define CPUS 2
#define OBJECTS 3
#define MAGAZINES 5	/* 1 to 5; 0 is none */
#define STEPS 2		/* allocations or frees of each CPU */

bit live[OBJECTS];	/* its byte of the shadow is set */
bit held[OBJECTS];	/* it is in a caller's hands */
bit shared[OBJECTS];	/* it may be freed by whoever comes */
bit in_slab[OBJECTS];

byte slot[MAGAZINES + 1];	/* the object */
bit count[MAGAZINES + 1];	/* there is one */
byte next[MAGAZINES + 1];	/* in a list of the depot */
byte loaded[CPUS], previous[CPUS];
byte full_list, empty_list;	/* the depot's */
bit busy[CPUS];

bit depot_lock, cache_lock;
bit masked[CPUS];	/* it holds a lock, with interrupts out */
bit interrupted[CPUS];
bit restarts;		/* the way that is tried */
bit quiet[CPUS];	/* a slow path keeps interrupts out */
bit torn[CPUS];		/* an interrupt came since the sequence began */
byte done;

/* What was interrupted does not go on before the interrupt is over. */
#define STEP(what) atomic { (inside || !interrupted[me]) -> what }

inline lock(which) {
	atomic {
		(inside || !interrupted[me]) && !which ->
			which = 1; masked[me] = 1
	}
}
inline unlock(which) { STEP(which = 0; masked[me] = quiet[me]) }

/* -------- the depot -------- */

inline pop(list, to) {
	to = list;
	if
	:: to != 0 -> list = next[to]
	:: else
	fi
}

inline depot_take_full() {
	STEP(magazine = full_list);
	if
	:: magazine == 0
	:: magazine != 0 && BROKEN == 2 -> STEP(full_list = next[magazine])
	:: else ->
		lock(depot_lock);
		pop(full_list, magazine);
		unlock(depot_lock)
	fi
}

inline depot_take_empty() {
	lock(depot_lock);
	pop(empty_list, magazine);
	unlock(depot_lock)
}

inline depot_give(list, which) {
	lock(depot_lock);
	next[which] = list;
	list = which;
	unlock(depot_lock)
}

/* -------- the slab -------- */

/* The first free object, or OBJECTS. */
inline slab_take(to) {
	d_step {
		to = 0;
		do
		:: to < OBJECTS && !in_slab[to] -> to++
		:: else -> break
		od
	}
}

inline take_direct() {
	if
	:: BROKEN == 5 && inside
	:: else -> lock(cache_lock)
	fi;
	STEP(slab_take(object));
	if
	:: object < OBJECTS ->
		STEP(in_slab[object] = 0);
		STEP(assert(!held[object]); live[object] = 1; held[object] = 1)
	:: else
	fi;
	if
	:: BROKEN == 5 && inside
	:: else -> unlock(cache_lock)
	fi
}

inline put_direct() {
	lock(cache_lock);
	assert(live[object]);
	live[object] = 0;
	in_slab[object] = 1;
	unlock(cache_lock)
}

inline refill() {
	lock(cache_lock);
	slab_take(object);
	if
	:: object < OBJECTS ->
		in_slab[object] = 0;
		slot[loaded[me]] = object;
		count[loaded[me]] = 1
	:: else
	fi;
	unlock(cache_lock)
}

/* -------- the layer of a CPU -------- */

/* An interrupt that comes between the two steps leaves the flag as it was. */
inline claim() {
	if
	:: restarts -> STEP(quiet[me] = 1; masked[me] = 1; claimed = 1)
	:: else ->
		STEP(claimed = !busy[me]);
		if
		:: claimed && BROKEN != 1 -> STEP(busy[me] = 1)
		:: else
		fi
	fi
}
inline unclaim() {
	if
	:: restarts -> STEP(quiet[me] = 0; masked[me] = 0)
	:: else -> STEP(busy[me] = 0)
	fi
}

/* A step of a sequence: not taken after an interrupt. */
#define TORN (torn[me] && !inside && BROKEN != 6)
#define RESTARTED(what) STEP(if :: TORN :: else -> what fi)

/* restart_take_object(): one into `object`, or OBJECTS. */
inline take() {
	do
	:: STEP(torn[me] = torn[me] && inside; magazine = loaded[me]; claimed = count[magazine]);
		if
		:: claimed -> STEP(object = slot[magazine])
		:: else -> break
		fi;
		atomic {
			(inside || !interrupted[me]) ->
			if
			:: TORN -> object = OBJECTS
			:: else -> count[loaded[me]] = 0; break
			fi
		}
	od;
	if
	:: object < OBJECTS ->
		STEP(assert(!held[object]); live[object] = 1; held[object] = 1)
	:: else
	fi
}

/* restart_give_object(): `magazine` is 0 if there is no room. */
inline give() {
	do
	:: STEP(torn[me] = torn[me] && inside; magazine = loaded[me]; claimed = !count[magazine]);
		if
		:: claimed
		:: else -> magazine = 0; break
		fi;
		RESTARTED(live[object] = 0);
		RESTARTED(slot[magazine] = object);
		atomic {
			(inside || !interrupted[me]) ->
			if
			:: TORN -> live[object] = 1
			:: else -> count[loaded[me]] = 1; break
			fi
		}
	od
}

/* magazine_exchange_empty() */
inline exchange_empty() {
	if
	:: previous[me] != 0 && count[previous[me]] != 0 ->
		STEP(magazine = previous[me]; previous[me] = loaded[me];
		     loaded[me] = magazine)
	:: else ->
		depot_take_full();
		if
		:: magazine == 0 -> refill()
		:: else ->
			STEP(other = loaded[me]; loaded[me] = magazine);
			depot_give(empty_list, other)
		fi
	fi
}

/* magazine_exchange_full(); leaves `magazine` 0 if there is no empty one. */
inline exchange_full() {
	magazine = previous[me];
	if
	:: magazine == 0 || count[magazine] != 0 ->
		depot_take_empty();
		if
		:: magazine != 0 && previous[me] != 0 ->
			depot_give(full_list, previous[me])
		:: else
		fi
	:: else
	fi;
	if
	:: magazine == 0
	:: magazine != 0 && BROKEN == 3 -> STEP(loaded[me] = magazine)
	:: else -> STEP(previous[me] = loaded[me]; loaded[me] = magazine)
	fi
}

/* One object into `object`, or OBJECTS. */
inline alloc() {
	object = OBJECTS;
	claimed = 0;
	if
	:: restarts -> take()
	:: else
	fi;
	if
	:: object == OBJECTS -> claim()
	:: else -> claimed = 0
	fi;
	if
	:: claimed ->
		if
		:: count[loaded[me]] == 0 -> exchange_empty()
		:: else
		fi;
		object = OBJECTS;
		if
		:: count[loaded[me]] != 0 ->
			STEP(object = slot[loaded[me]]);
			STEP(assert(!held[object]); live[object] = 1;
			     held[object] = 1);
			STEP(count[loaded[me]] = 0)
		:: else
		fi;
		unclaim()
	:: else
	fi;
	if
	:: object == OBJECTS -> take_direct()
	:: else
	fi
}

/* `object`, which is the caller's. */
inline free() {
	STEP(held[object] = 0; assert(live[object]));
	magazine = 0;
	if
	:: restarts -> give()
	:: else
	fi;
	if
	:: magazine == 0 -> claim()
	:: else -> claimed = 0
	fi;
	if
	:: claimed ->
		if
		:: count[loaded[me]] != 0 -> exchange_full()
		:: else -> magazine = loaded[me]
		fi;
		if
		:: magazine == 0
		:: else ->
			if
			:: BROKEN != 4 -> STEP(live[object] = 0)
			:: else
			fi;
			STEP(slot[loaded[me]] = object);
			STEP(count[loaded[me]] = 1)
		fi;
		unclaim();
		if
		:: BROKEN == 4 && magazine != 0 -> STEP(live[object] = 0)
		:: else
		fi
	:: else
	fi;
	if
	:: magazine == 0 -> put_direct()
	:: else
	fi
}

/* An object is taken for somebody, or one of somebody's is freed. */
inline use() {
	if
	:: alloc();
		if
		:: object < OBJECTS -> STEP(shared[object] = 1)
		:: else
		fi
	:: atomic { (inside || !interrupted[me]) && shared[0] ->
			shared[0] = 0; object = 0 };
		free()
	:: atomic { (inside || !interrupted[me]) && shared[1] ->
			shared[1] = 0; object = 1 };
		free()
	:: atomic { (inside || !interrupted[me]) && shared[2] ->
			shared[2] = 0; object = 2 };
		free()
	fi
}

proctype cpu(byte me) {
	byte object, magazine, other, steps;
	bit claimed, inside = 0;

	do
	:: steps < STEPS -> use(); steps++
	:: else -> break
	od;
	done++
}

proctype interrupt(byte me) {
	byte object, magazine, other;
	bit claimed, inside = 1;

	atomic {
		!masked[me] && !interrupted[me] ->
			interrupted[me] = 1; torn[me] = 1
	};
	use();
	interrupted[me] = 0;
	done++
}

/* How many places there are that have it. */
inline count_object() {
	places = held[object] + in_slab[object];
	magazine = 1;
	do
	:: magazine <= MAGAZINES ->
		places = places + (count[magazine] && slot[magazine] == object);
		magazine++
	:: else -> break
	od
}

inline count_magazine() {
	places = (loaded[0] == magazine) + (loaded[1] == magazine) +
		 (previous[0] == magazine) + (previous[1] == magazine);
	at = full_list;
	do
	:: at != 0 -> places = places + (at == magazine); at = next[at]
	:: else -> break
	od;
	at = empty_list;
	do
	:: at != 0 -> places = places + (at == magazine); at = next[at]
	:: else -> break
	od
}

init {
	byte object, magazine, places, at;

	atomic {
		if
		:: restarts = 0
		:: restarts = 1
		fi;
		loaded[0] = 1;
		loaded[1] = 2;
		slot[2] = 0;
		count[2] = 1;
		full_list = 3;
		slot[3] = 1;
		count[3] = 1;
		empty_list = 4;
		next[4] = 5;
		in_slab[2] = 1;
		run cpu(0);
		run cpu(1);
		run interrupt(0)
	};
	done == CPUS + 1;
	d_step {
		object = 0;
		do
		:: object < OBJECTS ->
			count_object();
			assert(places == 1);
			assert(live[object] == held[object]);
			object++
		:: else -> break
		od;
		magazine = 1;
		do
		:: magazine <= MAGAZINES ->
			count_magazine();
			assert(places == 1);
			magazine++
		:: else -> break
		od
	}
}
