/* Clears all rows. Included many times: no guard. */
#undef CRN_OPT_INT
#undef CRN_OPT_INT_NULL
#undef CRN_OPT_FLOAT
#undef CRN_OPT_FLOAT_NULL
#undef CRN_OPT_NUMBER_NULL
#undef CRN_OPT_NUMBER
#undef CRN_OPT_BOOL
#undef CRN_OPT_TEXT
#undef CRN_OPT_CHOICE
#undef CRN_OPT_LIST
#undef CRN_OPT_PAIR
#undef CRN_OPT_INIT
#undef CRN_OPT_REQUIRED
#undef CRN_OPT_ALIAS
#undef CRN_OPT_NO_EFFECT
#undef CRN_OPT_LACKING
#undef CRN_OPT_SECTION
