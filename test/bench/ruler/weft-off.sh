# Weft that forwards in user space.
. "$P/switches/weft.sh"
sw_up() { WEFT_FASTPATH=off weft_start; }
