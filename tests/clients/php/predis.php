<?php
require __DIR__ . '/scenario.php';
require 'Predis/Autoloader.php';
Predis\Autoloader::register();

$connect = function () use ($mode, $addresses) {
    $all = array_map(fn($address) => 'tcp://' . implode(':', $address), $addresses);
    return $mode == 'cluster' ? new Predis\Client($all, ['cluster' => 'redis']) : new Predis\Client($all[0]);
};

$usual = function ($r) use ($mode, $prefix, $addresses) {
    check((string) $r->set(key_of('a'), '1'), 'OK');
    check($r->get(key_of('a')), '1');
    check([$r->incr(key_of('n')), $r->incr(key_of('n'))], [1, 2]);
    check($r->mget([key_of('a'), key_of('n'), key_of('none')]), ['1', '2', null]);
    check($r->expire(key_of('a'), 100), 1);
    check($r->ttl(key_of('a')) > 0, true);
    if ($mode != 'cluster') { // it takes neither for a cluster
        $found = iterator_to_array(new Predis\Collection\Iterator\Keyspace($r, "*$prefix*", 100), false);
        sort($found);
        check(array_values(array_unique($found)), [key_of('a'), key_of('n')]);
        $done = $r->transaction(fn($t) => $t->incr(key_of('n')) && $t->set(key_of('m'), 'x'));
        check([$done[0], (string) $done[1]], [3, 'OK']);
    }
    check($r->pipeline(function ($p) { for ($i = 0; $i < 100; $i++) $p->incr(key_of('p')); }), range(1, 100));
    check($r->del([key_of('a')]), 1);
};

main(Predis\Client::VERSION, $connect, $usual);
