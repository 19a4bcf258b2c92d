/* SPDX-License-Identifier: MIT */
/* The page cache of programs: one pager for each segment of each program. */

/*
 * A segment's bytes lie anywhere in the archive, not on page bounds, so each of
 * its pages is copied to a frame when it is first touched. The frame stays here
 * for the next process that touches the page; who writes to it gets a copy of
 * its own from the floor. Pages behind the file's last byte are no page of ours
 * but anonymous memory.
 *
 * Frames go back under pressure, when only the cache holds them, and all of it
 * by images_shrink(). A segment is known as long as a region refers to it or a
 * frame is kept. Everything here changes under one lock, except that the
 * contents of a page are copied without: two who touch it at once both copy,
 * and one gives its frame back.
 */

#include <loam/bits.h>
#include <loam/mem.h>

#include "images.h"
#include "kernel.h"

struct image {
	struct loam_pager pager;
	struct loam_list link;
	char name[32];
	const unsigned char *bytes; /* of the file */
	struct elf_segment segment;
	size_t regions; /* that refer to it */
	size_t kept;    /* pages with a frame */
	size_t count;   /* pages with bytes of the file */
	loam_pfn_t frames[];
};

static struct loam_list images = { &images, &images };
static size_t images_kept;

/* Taken under those of address spaces, which touch pages. */
static struct loam_lock images_lock = LOAM_LOCK_INIT("images", LOAM_RANK_HOST);

static struct image *image_of(struct loam_pager *pager)
{
	return LOAM_CONTAINER(pager, struct image, pager);
}

/* What of the page at `offset` is the file's; the rest reads as zeros. */
static void image_fill(const struct image *image, uint64_t offset, void *page)
{
	const struct elf_segment *s = &image->segment;
	size_t from = offset == 0 ? s->skip : 0;
	size_t done = offset == 0 ? 0 : (size_t)offset - s->skip;
	size_t part = s->file_bytes - done;

	if (part > LOAM_PAGE_SIZE - from) {
		part = LOAM_PAGE_SIZE - from;
	}
	memcpy((unsigned char *)page + from, image->bytes + s->offset + done,
	       part);
}

static loam_pfn_t image_load(const struct image *image, uint64_t offset)
{
	loam_pfn_t pfn = loam_frame_alloc(
		&kernel.frames, 0,
		LOAM_ZERO | LOAM_HIGH | LOAM_OWNED_BY(LOAM_OWNER_USER));

	if (pfn == LOAM_PFN_NONE) {
		return LOAM_PFN_NONE;
	}
	void *page = loam_kspace_temp_map(&kernel.kspace, pfn);
	if (page == NULL) {
		loam_frame_put(&kernel.frames, pfn);
		return LOAM_PFN_NONE;
	}
	image_fill(image, offset, page);
	loam_kspace_temp_unmap(&kernel.kspace, page);
	return pfn;
}

static loam_pfn_t image_peek(struct loam_pager *pager, uint64_t offset)
{
	struct image *image = image_of(pager);
	size_t index = (size_t)(offset >> LOAM_PAGE_SHIFT);
	loam_pfn_t pfn = LOAM_PFN_NONE;

	loam_lock(&images_lock);
	if (index < image->count) {
		pfn = image->frames[index];
		if (pfn != LOAM_PFN_NONE) {
			loam_frame_get(&kernel.frames, pfn);
		}
	}
	loam_unlock(&images_lock);
	return pfn;
}

static loam_pfn_t image_get_page(struct loam_pager *pager, uint64_t offset,
				 int *error)
{
	struct image *image = image_of(pager);
	size_t index = (size_t)(offset >> LOAM_PAGE_SHIFT);
	loam_pfn_t pfn = image_peek(pager, offset);

	if (pfn != LOAM_PFN_NONE || index >= image->count) {
		return pfn;
	}
	pfn = image_load(image, offset);
	if (pfn == LOAM_PFN_NONE) {
		*error = -LOAM_ENOMEM;
		return pfn;
	}
	loam_lock(&images_lock);
	loam_pfn_t there = image->frames[index];
	if (there == LOAM_PFN_NONE) {
		image->frames[index] = pfn;
		image->kept++;
		images_kept++;
		there = pfn;
	}
	loam_frame_get(&kernel.frames, there);
	loam_unlock(&images_lock);
	if (there != pfn) {
		loam_frame_put(&kernel.frames, pfn);
	}
	return there;
}

static void image_get(struct loam_pager *pager)
{
	loam_lock(&images_lock);
	image_of(pager)->regions++;
	loam_unlock(&images_lock);
}

static void image_put(struct loam_pager *pager)
{
	loam_lock(&images_lock);
	image_of(pager)->regions--;
	loam_unlock(&images_lock);
}

static size_t image_reclaim_locked(struct image *image)
{
	size_t freed = 0;

	for (size_t i = 0; i < image->count; i++) {
		loam_pfn_t pfn = image->frames[i];
		if (pfn != LOAM_PFN_NONE &&
		    loam_frame_refs(&kernel.frames, pfn) == 1) {
			image->frames[i] = LOAM_PFN_NONE;
			loam_frame_put(&kernel.frames, pfn);
			freed++;
		}
	}
	image->kept -= freed;
	images_kept -= freed;
	return freed;
}

static size_t image_reclaim(struct loam_pager *pager)
{
	loam_lock(&images_lock);
	size_t freed = image_reclaim_locked(image_of(pager));
	loam_unlock(&images_lock);
	return freed;
}

static const struct loam_pager_ops image_ops = {
	.get_page = image_get_page,
	.peek_page = image_peek,
	.get = image_get,
	.put = image_put,
	.reclaim = image_reclaim,
};

size_t images_frames(void)
{
	return images_kept;
}

/* The first that nothing refers to, off the list; or NULL. */
static struct image *image_take_unused(void)
{
	struct image *unused = NULL;
	struct loam_list *link;

	loam_lock(&images_lock);
	LOAM_LIST_EACH(link, &images)
	{
		struct image *image = LOAM_CONTAINER(link, struct image, link);
		if (image->regions == 0 && image->kept == 0) {
			loam_list_remove(&image->link);
			unused = image;
			break;
		}
	}
	loam_unlock(&images_lock);
	return unused;
}

size_t images_shrink(void)
{
	struct loam_list *link;
	struct image *image;
	size_t freed = 0;

	loam_lock(&images_lock);
	LOAM_LIST_EACH(link, &images)
	{
		image = LOAM_CONTAINER(link, struct image, link);
		freed += image_reclaim_locked(image);
	}
	loam_unlock(&images_lock);
	while ((image = image_take_unused()) != NULL) {
		loam_procs_remove_pager(&spaces, &image->pager);
		kfree(image);
	}
	return freed;
}

/*
 * The image of a segment, with one region counted that is given back by
 * image_put(). NULL: no memory.
 */
static struct image *image_find(const struct elf_segment *segment,
				const unsigned char *bytes, const char *name)
{
	struct loam_list *link;
	size_t count = (segment->skip + segment->file_bytes + LOAM_PAGE_MASK) /
		       LOAM_PAGE_SIZE;

	loam_lock(&images_lock);
	LOAM_LIST_EACH(link, &images)
	{
		struct image *image = LOAM_CONTAINER(link, struct image, link);
		if (image->bytes == bytes &&
		    image->segment.virt == segment->virt) {
			image->regions++;
			loam_unlock(&images_lock);
			return image;
		}
	}
	struct image *image =
		kmalloc(sizeof(*image) + count * sizeof(image->frames[0]));
	if (image != NULL) {
		*image = (struct image){
			.pager.ops = &image_ops,
			.bytes = bytes,
			.segment = *segment,
			.regions = 1,
			.count = count,
		};
		loam_snprintf(image->name, sizeof(image->name), "%s", name);
		for (size_t i = 0; i < count; i++) {
			image->frames[i] = LOAM_PFN_NONE;
		}
		loam_list_insert_tail(&images, &image->link);
	}
	loam_unlock(&images_lock);
	if (image != NULL) {
		loam_procs_add_pager(&spaces, &image->pager);
	}
	return image;
}

static int image_map_segment(struct loam_proc *space,
			     const struct elf_segment *s,
			     const unsigned char *bytes, const char *name)
{
	struct loam_map_request request = {
		.start = s->virt,
		.size = (s->skip + s->file_bytes + LOAM_PAGE_MASK) &
			~(size_t)LOAM_PAGE_MASK,
		.prot = LOAM_PROT_READ | (s->write ? LOAM_PROT_WRITE : 0) |
			(s->exec ? LOAM_PROT_EXEC : 0),
		.flags = LOAM_REGION_FIXED | LOAM_REGION_NO_REPLACE,
		.kind = LOAM_REGION_PAGER,
	};
	uintptr_t start;
	int error = 0;

	if (s->file_bytes == 0) {
		request.size = 0;
	} else {
		struct image *image = image_find(s, bytes, name);
		if (image == NULL) {
			return -LOAM_ENOMEM;
		}
		request.pager = &image->pager;
		request.name = image->name;
		error = loam_proc_map(space, &request, &start);
		image_put(&image->pager);
	}
	if (error == 0 && request.size < s->size) {
		request.start += request.size;
		request.size = s->size - request.size;
		request.kind = LOAM_REGION_ANONYMOUS;
		request.pager = NULL;
		request.name = "[bss]";
		error = loam_proc_map(space, &request, &start);
	}
	return error;
}

int image_map(struct loam_proc *space, const struct elf_program *program,
	      const unsigned char *bytes, const char *name)
{
	int error = 0;

	for (unsigned i = 0; i < program->count && error == 0; i++) {
		error = image_map_segment(space, &program->segments[i], bytes,
					  name);
	}
	return error;
}
