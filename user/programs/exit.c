/* SPDX-License-Identifier: MIT */
/* Ends with the status it is told: exit STATUS; 255 without, or with more. */

#include <stdlib.h>

int main(int argc, char **argv)
{
	return argc == 2 ? atoi(argv[1]) : 255;
}
