/* SPDX-License-Identifier: MIT */
/* When memory has run out: what is given back first, and who ends last. */
#include "proc_int.h"

/* The pagers' frames that only they hold. The list stays as it is meanwhile. */
static size_t pressure_pagers(struct loam_procs *procs)
{
	size_t freed = 0;
	loam_lock(&procs->lock);
	struct loam_list *link;
	LOAM_LIST_EACH(link, &procs->pagers)
	{
		struct loam_pager *pager =
			LOAM_CONTAINER(link, struct loam_pager, link);
		if (pager->ops->reclaim != NULL) {
			freed += pager->ops->reclaim(pager);
		}
	}
	procs->reclaimed += freed;
	loam_unlock(&procs->lock);
	return freed;
}

/* A frame can be had now, perhaps after the frame floor's own reclaim. */
static bool pressure_frame(struct loam_procs *procs)
{
	loam_pfn_t pfn = loam_frame_alloc(procs->config.frames, 0, 0);
	if (pfn == LOAM_PFN_NONE) {
		return false;
	}
	loam_frame_free(procs->config.frames, pfn, 0);
	return true;
}

/* The space with the largest footprint that is not ending; or NULL. */
static struct loam_proc *pressure_victim_locked(struct loam_procs *procs,
						bool *ending)
{
	struct loam_proc *victim = NULL;
	struct loam_list *link;
	*ending = false;
	LOAM_LIST_EACH(link, &procs->list)
	{
		struct loam_proc *proc =
			LOAM_CONTAINER(link, struct loam_proc, link);
		if (proc->ending) {
			*ending = true;
		} else if (victim == NULL ||
			   proc->resident_frames > victim->resident_frames) {
			victim = proc;
		}
	}
	return victim;
}

static enum loam_faulted pressure_end_one(struct loam_procs *procs)
{
	enum loam_faulted result = LOAM_FAULTED_MEMORY;
	bool ending;
	loam_lock(&procs->lock);
	struct loam_proc *victim = pressure_victim_locked(procs, &ending);
	if (ending) {
		/* One at a time: what that one has comes first. */
		result = LOAM_FAULTED_RETRY;
	} else if (victim != NULL && procs->config.out_of_memory != NULL &&
		   procs->config.out_of_memory(procs->config.ctx, victim)) {
		loam_log(LOAM_LOG_WARNING,
			 "out of memory: ending %s, which has %zu of the frames"
			 " in %zu KiB of regions",
			 victim->name, victim->resident_frames,
			 victim->address_bytes >> 10);
		victim->ending = true;
		procs->out_of_memory++;
		result = LOAM_FAULTED_RETRY;
	}
	loam_unlock(&procs->lock);
	return result;
}

enum loam_faulted loam_procs_pressure(struct loam_procs *procs)
{
	if (pressure_frame(procs) || pressure_pagers(procs) != 0) {
		return LOAM_FAULTED_OK;
	}
	return pressure_end_one(procs);
}

void loam_procs_add_pager(struct loam_procs *procs, struct loam_pager *pager)
{
	loam_lock(&procs->lock);
	loam_list_insert_tail(&procs->pagers, &pager->link);
	loam_unlock(&procs->lock);
}

void loam_procs_remove_pager(struct loam_procs *procs, struct loam_pager *pager)
{
	loam_lock(&procs->lock);
	loam_list_remove(&pager->link);
	loam_unlock(&procs->lock);
}
