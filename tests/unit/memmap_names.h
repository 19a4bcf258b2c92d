/* SPDX-License-Identifier: MIT */
/* The names of the real firmware maps, one string each. */
"F01.map", "F03.map", "I-cfl-k700-i7.map", "I-tgl-vecow-spc-7100-Corei7.map",
	"R01.map", "R02.map", "R03.map", "R05.map", "R07.map", "R09.map",
	"R10.map", "R12.map", "R14.map", "S01.map", "S03.map", "S04.map",
	"S06.map", "S08.map", "S09.map", "S11.map", "S12.map", "S15.map",
	"S16.map", "S18.map", "S20.map",
