#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Files that no blob has any more go, an hour after the sweep first saw that,
# and no others: not young ones, not those that are used again meanwhile.

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use FindBin;
use MIME::Base64 qw(encode_base64);
use Test::More;

use lib "$FindBin::Bin/lib";
use Mesh::Test::Storage;

my @TUS = ('Tus-Resumable' => '1.0.0');


for my $adapter (Mesh::Test::Storage->adapters) {
    my $node = Mesh::Test::Storage->new(adapter => $adapter)->start;
    my $folder = $node->data . '/blobs';
    my %bytes = map { $_ => "$_ " x 30_000 }
                qw(kept gone twice replaced young again);

    my $file = sub {
        my $hash = sha256_hex($bytes{ $_[0] });

        return "$folder/" . substr($hash, 0, 2) . "/$hash";
    };

    my $is_marked = sub { !((stat $file->($_[0]))[2] & 0200) };

    # time passes

    my $age = sub {
        my $then = time - 2 * 3600;

        utime $then, $then, @_ or die "utime @_: $!";
    };

    # workers of a new generation sweep when the old ones have left

    my $sweep = sub {
        my ($condition, $what) = @_;

        $node->reload;
        $node->wait_for($condition, 60, $what);
    };


    $node->put("blobs/n/$_", $bytes{$_}) for sort keys %bytes;
    $node->put('blobs/n/second', $bytes{twice});
    $node->put('blobs/n/replaced', 'other bytes');
    $node->del("blobs/n/$_") for qw(gone twice young again);

    ok(-f $file->($_), "$adapter: the file of \"$_\" is there")
        for sort keys %bytes;

    my $upload = $node->post('uploads/n', 'abc', headers => [
        @TUS, 'Upload-Length' => 9, 'Upload-Metadata' => 'filename YQ==',
        'Content-Type' => 'application/offset+octet-stream' ])
        ->header('Location');
    my ($id) = $upload =~ m{([^/]+)$};

    for my $name ("tmp/left", 'tmp/up-' . '0' x 32, 'tmp/recent') {
        open my $out, '>', "$folder/$name" or die "$name: $!";
    }

    $age->((map { $file->($_) } qw(kept gone twice replaced again)),
           map { "$folder/tmp/$_" } 'left', 'up-' . '0' x 32, "up-$id");


    # the first look

    $sweep->(sub { !-e "$folder/tmp/left" }, 'the end of a sweep');

    ok(!-e "$folder/tmp/up-" . '0' x 32,
       "$adapter: what is left of an upload that has gone goes");
    ok(-e "$folder/tmp/recent", 'a request may be at work on a young file');
    ok(-e "$folder/tmp/up-$id", 'an upload that goes on stays');
    ok($is_marked->($_), "$adapter: \"$_\" is marked, it is not used")
        for qw(gone replaced again);
    ok(!$is_marked->($_), "\"$_\" is not: it is used, or young")
        for qw(kept twice young);


    # one of them is used again

    is($node->put('blobs/n/again', $bytes{again})->status, 201,
       "$adapter: the same bytes may be put again");
    ok(!$is_marked->('again'), 'then the mark is gone');

    $age->(map { $file->($_) } qw(kept gone twice replaced young));
    open my $out, '>', "$folder/tmp/left" or die "left: $!";
    $age->("$folder/tmp/left");


    # the second look

    $sweep->(sub { !-e "$folder/tmp/left" }, 'the end of a second sweep');

    ok(!-e $file->($_), "$adapter: the file of \"$_\" has gone")
        for qw(gone replaced);
    ok(-e $file->($_), "that of \"$_\" has not")
        for qw(kept twice young again);
    ok($node->get('blobs/n/kept')->body eq $bytes{kept}, 'it can be read');
    ok($node->get('blobs/n/second')->body eq $bytes{twice},
       'so can one that had two names');
    ok($node->get('blobs/n/again')->body eq $bytes{again},
       'and one that was used again');


    # a namespace that expires takes its files along

    $node->put('blobs/n/brief', 'brief ' x 20_000,
               headers => { 'Expires-After' => 1 });
    $bytes{brief} = 'brief ' x 20_000;
    $node->wait_for(sub { $node->get('blobs/n/brief')->status == 404 }, 10,
                    'the end of a blob');

    for my $round (1, 2) {
        open my $left, '>', "$folder/tmp/left" or die "left: $!";
        $age->("$folder/tmp/left", $file->('brief'));
        $sweep->(sub { !-e "$folder/tmp/left" }, "sweep $round");
    }

    ok(!-e $file->('brief'), "$adapter: so does the file of one that expired");

    is($node->patch($upload, 'defghi', headers => [
           @TUS, 'Content-Type' => 'application/offset+octet-stream',
           'Upload-Offset' => 3 ])->status, 204,
       'the upload ends after all that');
    is($node->get('blobs/n/a')->body, 'abcdefghi', 'as it was begun');
}

done_testing();
