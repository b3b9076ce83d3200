<?php
// What the programs of PHP libraries have in common (../README.md says what they do).
[, $mode, $addresses, $prefix] = $argv;
$addresses = array_map(fn($address) => explode(':', $address), explode(',', $addresses));

function say(...$words) { echo str_replace("\n", ' ', implode(' ', $words)), "\n"; }
function key_of($name) { global $prefix; return "{{$prefix}}:$name"; }

function check($got, $wanted)
{
    if ($got !== $wanted) throw new Exception(json_encode($got) . ' instead of ' . json_encode($wanted));
}

/* $set and $get take a client; $connect makes one. A PHP program lives for a request: the next one dials again, and so does this. */
function main($version, $connect, $usual)
{
    try {
        $client = $connect();
        say('version', $version);
        $usual($client);
    } catch (Throwable $error) {
        say('failed', get_class($error), $error->getMessage(), 'line', $error->getLine());
        exit(1);
    }
    say('usual');
    for ($number = 1;; $number++) {
        try {
            $client ??= $connect();
            $client->set(key_of($number), "$number") or throw new Exception('not set');
            say('wrote', $number);
            if ($client->get(key_of('stop'))) break;
        } catch (Throwable $error) {
            say('error', get_class($error), $error->getMessage());
            $client = null;
        }
        usleep(10000);
    }
    say('end');
}
