/* SPDX-License-Identifier: MIT */
/* kernel/shootdown.c: two CPUs ask a third one, which sleeps when it likes. */

/*
 * Each of the two takes a page out of the tables, has the third forget it, and
 * frees it. The third may fill its TLB from the tables at any time it is awake,
 * and use what is there: never a page that is freed. The steps are those of the
 * C functions, and each is atomic there as it is here, in one order for all.
 *
 * BROKEN=1: the target clears `signalled` after its look at the requests.
 * BROKEN=2: who spares a sleeping CPU does not look at it again.
 * BROKEN=3: who wakes looks at `stale` before it clears `asleep`.
 */
#ifndef BROKEN
#define BROKEN 0
#endif

#define ASKING 2

bit table[ASKING] = 1;	/* the page is mapped */
bit tlb[ASKING];	/* the target has it cached */
bit freed[ASKING];	/* the page is somebody else's */
bit waiting[ASKING];	/* the target has still to do it */
bit signalled, asleep, stale;
bit interrupt;		/* pending at the target */
bit asked[ASKING];	/* it only waits */
byte sending;		/* interrupts on their way to be pending */
byte done;

inline forget_all() { d_step { tlb[0] = 0; tlb[1] = 0 } }

/* shootdown_serve() */
inline serve() {
	if
	:: BROKEN != 1 -> signalled = 0
	:: else
	fi;
	found0 = waiting[0];
	found1 = waiting[1];
	if
	:: found0 && found1 -> forget_all()
	:: found0 && !found1 -> tlb[0] = 0
	:: !found0 && found1 -> tlb[1] = 0
	:: else
	fi;
	if
	:: BROKEN == 1 -> signalled = 0
	:: else
	fi;
	if
	:: found0 -> waiting[0] = 0
	:: else
	fi;
	if
	:: found1 -> waiting[1] = 0
	:: else
	fi
}

/* cpus_awake() */
inline awake() {
	if
	:: BROKEN == 3 ->
		if
		:: stale -> stale = 0; forget_all()
		:: else
		fi;
		asleep = 0
	:: else ->
		if
		:: asleep ->
			asleep = 0;
			if
			:: stale -> stale = 0; forget_all()
			:: else
			fi
		:: else
		fi
	fi
}

active proctype target() {
	bit found0, found1;

end:	do
	:: atomic { table[0] -> tlb[0] = 1 }
	:: atomic { table[1] -> tlb[1] = 1 }
	:: atomic { tlb[0] -> assert(!freed[0]) }
	:: atomic { tlb[1] -> assert(!freed[1]) }
	:: atomic { interrupt -> interrupt = 0 }; serve()
	/* Nobody waits for what is not going to happen. */
	:: atomic {
		(asked[0] && waiting[0]) || (asked[1] && waiting[1]) ->
			assert(interrupt || sending)
		}
	:: asleep = 1;
		/* An interrupt of ours, or of a device at any time. */
		if
		:: atomic { interrupt -> interrupt = 0 }; awake(); serve()
		:: awake()
		fi
	:: done == ASKING -> break
	od
}

active [ASKING] proctype asking() {
	byte me = _pid - 1;
	bit spared = 0;
	bit before;

	table[me] = 0;
	/* shootdown_spare() */
	if
	:: asleep ->
		stale = 1;
		if
		:: BROKEN == 2 -> spared = 1
		:: else -> spared = asleep
		fi
	:: else
	fi;
	if
	:: spared
	:: else ->
		waiting[me] = 1;
		atomic {
			before = signalled;
			signalled = 1;
			sending = sending + (1 - before)
		};
		if
		:: !before -> atomic { interrupt = 1; sending-- }
		:: else
		fi;
		asked[me] = 1;
		waiting[me] == 0
	fi;
	freed[me] = 1;
	done++
}
