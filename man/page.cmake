# cmake -DTEMPLATE=x.in -DPAGE=x -DOPTIONS_FILE=rows -D... -P page.cmake: fill a page in.
file(READ "${OPTIONS_FILE}" OPTIONS)
string(STRIP "${OPTIONS}" OPTIONS)
# mdoc(7): a new sentence begins a new line.
string(REGEX REPLACE "([A-Za-z)])\\. ([A-Z0-9])" "\\1.\n\\2" OPTIONS "${OPTIONS}")
configure_file("${TEMPLATE}" "${PAGE}" @ONLY)
