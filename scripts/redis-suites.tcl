# What scripts/redis-suites adds to its copy of Redis' test suites: each test has a result, whatever the others do.
#
# - A test that ends in an error is one that differs, and the next one goes on. So do the statements between tests.
# - What the server does not have is noted for the test that asked for it.
# - Results go to a file, a line each: kind, name, what was refused, text; in base64, with blanks between. The kinds: begins and
#   noted, then passed or differs; skipped; stopped, of a statement between tests.

set ::results [open $::env(SUITES_RESULTS) a]
set ::refused {}
set ::left_out [split $::env(SUITES_LEFT_OUT) "\n"]

proc tell {kind name {text ""}} {
    set line $kind
    foreach field [list $name [join [lsort -unique $::refused] ", "] $text] {
        append line " =[binary encode base64 [encoding convertto utf-8 $field]]"
    }
    puts $::results $line
    flush $::results
}

# ---- What the server does not have ----

set ::refusals {
    {^-?ERR unknown command '([^']*)'} {%s}
    {^-?ERR unknown subcommand '([^']*)'\. Try ([A-Z]+) HELP} {%2$s %1$s}
    {^-?ERR (DEBUG) command not allowed} {%s}
    {^-?ERR (CONFIG SET) is not supported} {%s}
    {^-?ERR no keys are tracked here} {CLIENT TRACKING}
    {^-?ERR DB index is out of range} {SELECT}
}

proc note_refusal {line} {
    foreach {pattern name} $::refusals {
        if {[regexp $pattern $line _ first second]} {
            set first [string toupper $first]
            lappend ::refused [format $name $first $second]
            tell noted $::cur_test
        }
    }
}

rename ::redis::redis_read_line ::redis::read_line
proc ::redis::redis_read_line fd {
    set line [read_line $fd]
    note_refusal $line
    return $line
}

# ---- Tests ----

# A test that hangs is left out of the next run.
proc is_left_out {name} { expr {$name in $::left_out} }

proc test {name code {expected undefined} {tags {}}} {
    if {[is_left_out $name]} return
    if {![tags_acceptable [concat $::tags $tags] reason]} {
        tell skipped $name $reason
        return
    }
    set ::cur_test $name
    tell begins $name
    send_data_packet $::test_server_fd testing $name
    if {[catch {set reply [uplevel 1 $code]} error]} {
        note_refusal $error
        differs $name "$error\n$::errorInfo"
    } elseif {$expected eq "undefined" || $expected eq $reply || [string match $expected $reply]} {
        tell passed $name
    } else {
        differs $name "expected '$expected', got '$reply'"
    }
    set ::refused {}
}

# The next test gets another connection: this one may be in the middle of a transaction.
proc differs {name text} {
    tell differs $name $text
    catch {reconnect}
}

# Each statement of a block for itself.
proc run_each {code} {
    set statement ""
    foreach line [split $code "\n"] {
        append statement $line "\n"
        if {![info complete $statement]} continue
        if {![string match "#*" [string trim $statement]] && [catch {uplevel 1 $statement} error]} {
            tell stopped [string range [string trim $statement] 0 60] $error
        }
        set statement ""
    }
}

proc tags {tags code} {
    set tags [string map { \" "" } $tags]
    set ::tags [concat $::tags $tags]
    uplevel 1 [list run_each $code]
    set ::tags [lrange $::tags 0 end-[llength $tags]]
}

# Settings that the server does not have are left out; the tests that need them say so themselves.
proc run_external_server_test {code overrides} {
    set client [redis $::host $::port 0 $::tls]
    lappend ::servers [dict create host $::host port $::port client $client config [dict create port $::port]]
    r flushall
    foreach {name value} $overrides {
        catch {r config set $name $value}
    }
    uplevel 2 [list run_each $code]
    catch {[dict get [lpop ::servers] client] close}
}

# Blocks that need a server of their own are run for the names of their tests.
rename start_server start_tagged_server
proc start_server {options {code undefined}} {
    set tags [expr {[dict exists $options tags] ? [string map { \" "" } [dict get $options tags]] : {}}]
    if {[tags_acceptable [concat $::tags $tags] reason]} {
        uplevel 1 [list start_tagged_server $options $code]
    } else {
        set ::tags [concat $::tags $tags]
        foreach {_ name} [regexp -all -inline -line {^\s*test \{?"?([^\}"]*)} $code] { tell skipped $name $reason }
        set ::tags [lrange $::tags 0 end-[llength $tags]]
    }
}
