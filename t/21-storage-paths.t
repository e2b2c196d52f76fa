#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Keys and namespaces in paths: every UTF-8 text is a key, and no spelling of a
# path reaches another key than the one it names.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Mesh::Test::Storage;


my $node = Mesh::Test::Storage->new->start;


# Keys that are odd, and right.

my %odd = (
    'a blank'            => [ 'two%20words', 'two words' ],
    'a plus'             => [ 'one+one', 'one+one' ],
    'an escaped plus'    => [ 'one%2Bone', 'one+one' ],
    'umlauts'            => [ '%C3%A4%C3%B6', "\x{e4}\x{f6}" ],
    'four bytes'         => [ '%F0%9F%90%99', "\x{1f419}" ],
    'a percent sign'     => [ '100%25', '100%' ],
    'an escaped escape'  => [ '%2541', '%41' ],
    'a question mark'    => [ 'why%3F', 'why?' ],
    'a hash'             => [ 'no%231', 'no#1' ],
    'a slash'            => [ 'a%2Fb', 'a/b' ],
    'slashes'            => [ 'x/y/z', 'x/y/z' ],
    'a slash at the end' => [ 'folder/', 'folder/' ],
    'a dot'              => [ '.hidden', '.hidden' ],
    'three dots'         => [ 'a/.../b', 'a/.../b' ],
    'a quote'            => [ '%22%27', q{"'} ],
    'SQL'                => [ q{'%3B%20DROP%20TABLE%20item%3B--},
                              q{'; DROP TABLE item;--} ],
    'a control'          => [ 'tab%09', "tab\t" ],
    'a backslash'        => [ 'a%5C..%5Cb', 'a\\..\\b' ],
    'all of LIKE'        => [ '%25_*', '%_*' ]);

for my $what (sort keys %odd) {
    my ($path, $key) = @{ $odd{$what} };

    $node->put("kv/n/$path", $what);

    is($node->get("kv/n/$path")->body, $what, "$what may be in a key");

    my ($items) = $node->list('kv/n');

    ok((grep { $_->{key} eq $key } @$items), '... and the list has the key');

    $node->del("kv/n/$path");
}

$node->put('kv/n/a/b', 'x');

is($node->get('kv/n/a%2fb')->body, 'x', 'an escaped slash is a slash');
is($node->get('kv/n/%61/b')->body, 'x', 'an escaped letter that letter');


# Paths that are not what they seem.

my @refused = (
    'kv/n//a', 'kv//n/a', '/api//storage/kv/n/a', 'kv/n/a//', 'kv/n/./a',
    'kv/n/../n/a/b', 'kv/n/a/..', 'kv/n/a/.', 'kv/n/x/%2e%2e/a/b',
    'kv/n/%2E/a', 'kv/n/..%2fn/a', 'kv/n/a%2F%2Fb', '/api/storage/../storage/'
    . 'kv/n/a/b', 'kv/n/%ff', 'kv/n/%c3', 'kv/n/%ed%a0%80', 'kv/n/%c0%af',
    'kv/n/%f4%90%80%80', "kv/n/\xff", 'kv/n/a/b#c');

for my $path (@refused) {
    my $reply = $node->put($path, 'bad');

    is($reply->status, 400, "\"$path\" is refused");
    is($reply->json->{error}, 'bad-request', '... and the problem says why');
}

for my $path ('kv/n/%00', 'kv/n/%', 'kv/n/%4', 'kv/n/%zz') {
    is($node->put($path, 'bad')->status, 400, "\"$path\" is refused");
}

is($node->get('/api/storagekv/n/a/b')->status, 400,
   'a longer name is not the API');
is_deeply([ map { $_->{key} } @{ ($node->list('kv/n'))[0] } ], ['a/b'],
          'none of these made a key');


# Sizes.

my $long = 'k' x 512;

is($node->put("kv/n/$long", 'x')->status, 201, 'a key has 512 bytes');
is($node->get("kv/n/$long")->body, 'x', 'and is found');
is($node->put("kv/n/${long}k", 'x')->status, 400, 'and no more');
is($node->get("kv/n/${long}k")->status, 400, 'when it is read either');
is($node->put('kv/n/' . '%C3%A4' x 256, 'x')->status, 201,
   'it is bytes that count, not escapes');
is($node->put('kv/n/' . '%C3%A4' x 257, 'x')->status, 400, 'nor letters');


# Namespaces.

for my $ns ('a', 'A-z_0', 'a.b.c.d', 'x' x 180) {
    is($node->put("kv/$ns/k", 'x')->status, 201,
       'namespace "' . substr($ns, 0, 10) . '" is one');
}

for my $ns ('.', '.a', 'a.', 'a..b', 'a%20b', '%C3%A4', 'a%25', '*', 'a:b',
            'x' x 181)
{
    is($node->put("kv/$ns/k", 'x')->status, 400,
       'namespace "' . substr($ns, 0, 10) . '" is none');
}

is($node->get('kv')->status, 400, 'no namespace is none either');


# Beside the resources.

is($node->get($_)->status, 404, "there is nothing at \"$_\"")
    for 'nothing', 'KV/n/a', 'kv./n/a', 'health/x';

$node->stop;

done_testing;
